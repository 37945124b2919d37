use std::time::Duration;

use bytes::Bytes;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::{Instant, timeout},
};

/// How long, all in all, a client may leave its stream unread before we go on without it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who reads a stream.
pub(crate) struct Client {
    /// `None` once it has gone; the provider may bill the rest all the same.
    sender: Option<mpsc::Sender<Bytes>>,
    patience: Duration,
}

impl Client {
    pub(crate) fn new(sender: mpsc::Sender<Bytes>) -> Self {
        Self { sender: Some(sender), patience: PATIENCE }
    }

    /// Waits for a slow client, but not for ever: the provider must not wait with us.
    pub(crate) async fn send(&mut self, bytes: Bytes) {
        let Some(client) = &self.sender else { return };
        let sent = match client.try_send(bytes) {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            Err(TrySendError::Full(bytes)) => {
                let begun = Instant::now();
                let sent = timeout(self.patience, client.send(bytes)).await;
                self.patience = self.patience.saturating_sub(begun.elapsed());
                matches!(sent, Ok(Ok(())))
            }
        };
        if !sent {
            self.sender = None;
        }
    }

    /// Resolves when it has left; at once, if it had.
    pub(crate) async fn left(&self) {
        if let Some(client) = &self.sender {
            client.closed().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use tokio::sync::mpsc;

    use super::Client;

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_left_after_its_patience() {
        let (sender, mut unread) = mpsc::channel(2);
        let mut client = Client { sender: Some(sender), patience: Duration::from_millis(20) };

        for _ in 0..1_000 {
            client.send(Bytes::from_static(b"data: {}\n\n")).await;
        }

        client.left().await;
        assert!(client.sender.is_none());
        assert_eq!(unread.len(), 2, "no more is kept for it than fits");
        unread.recv().await.unwrap();
        client.send(Bytes::from_static(b"more")).await;
        assert_eq!(unread.len(), 1, "it does not come back");
    }

    #[tokio::test]
    async fn a_slow_client_is_waited_for_but_its_patience_is_used_up_once() {
        let (sender, mut slow) = mpsc::channel(1);
        let mut client = Client { sender: Some(sender), patience: Duration::from_secs(30) };
        let reading = tokio::spawn(async move {
            let mut read = 0;
            while slow.recv().await.is_some() {
                tokio::task::yield_now().await;
                read += 1;
            }
            read
        });

        for _ in 0..100 {
            client.send(Bytes::from_static(b"data: {}\n\n")).await;
        }

        assert!(client.sender.is_some() && client.patience <= Duration::from_secs(30));
        drop(client);
        assert_eq!(reading.await.unwrap(), 100, "nothing is lost");
    }
}
