use std::collections::{BTreeMap, VecDeque};

use super::{
    BatchFault,
    batch::{Batch, NewBatch},
};
use crate::ai::unique;

/// A provider's files and batches. Each key is an account of its own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane {
    /// There is no Batch API here.
    pub(crate) is_missing: bool,
    /// Batches make no progress.
    pub(crate) held: bool,
    /// So many uploads fail from now on.
    pub(crate) failing_uploads: usize,
    pub(crate) faults: VecDeque<BatchFault>,
    pub(crate) files: BTreeMap<String, File>,
    /// Calls of batches that were made, whatever became of their answers.
    pub(crate) made: usize,
    /// The oldest first.
    batches: Vec<Batch>,
}

/// A file and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(super) key: String,
    pub(super) content: String,
}

impl Lane {
    pub(crate) fn count(&self) -> usize {
        self.batches.len()
    }

    /// Whether an upload is to fail.
    pub(super) fn fails_upload(&mut self) -> bool {
        let fails = self.failing_uploads > 0;
        self.failing_uploads = self.failing_uploads.saturating_sub(1);
        fails
    }

    pub(super) fn keep(&mut self, key: &str, content: String) -> String {
        let id = unique("file-");
        self.files.insert(id.clone(), File { key: key.to_owned(), content });
        id
    }

    pub(super) fn file(&self, key: &str, id: &str) -> Option<&File> {
        self.files.get(id).filter(|file| file.key == key)
    }

    /// `None`: there is no such file.
    pub(super) fn create(&mut self, key: &str, new: NewBatch) -> Option<Batch> {
        let content = self.file(key, &new.input_file_id)?.content.clone();
        let batch = Batch::new(new, key.to_owned(), &content, self.faults.pop_front());
        self.batches.push(batch.clone());
        Some(batch)
    }

    /// The batch, done unless batches are held.
    pub(super) fn look(&mut self, key: &str, id: &str) -> Option<Batch> {
        if !self.held {
            self.make(id, usize::MAX);
        }
        self.batches.iter().find(|it| it.key == key && it.id == id).cloned()
    }

    /// Those of the key, the newest first, after the one called `after`.
    pub(super) fn list(&self, key: &str, after: Option<&str>, limit: usize) -> (Vec<Batch>, bool) {
        let mut all: Vec<&Batch> = self.batches.iter().filter(|it| it.key == key).rev().collect();
        if let Some(at) = after.and_then(|after| all.iter().position(|it| it.id == after)) {
            all.drain(..=at);
        }
        let has_more = all.len() > limit;
        (all.into_iter().take(limit).cloned().collect(), has_more)
    }

    /// Ends the batch with what was made.
    pub(super) fn cancel(&mut self, key: &str, id: &str) -> Option<Batch> {
        let at = self.batches.iter().position(|it| it.key == key && it.id == id)?;
        if self.batches[at].is_open() {
            self.end(at, "cancelled", "batch_cancelled");
        }
        Some(self.batches[at].clone())
    }

    pub(crate) fn expire(&mut self) {
        for at in 0..self.batches.len() {
            if self.batches[at].is_open() {
                self.end(at, "expired", "batch_expired");
            }
        }
    }

    pub(crate) fn advance(&mut self, lines: usize) {
        let open: Vec<String> =
            self.batches.iter().filter(|it| it.is_open()).map(|it| it.id.clone()).collect();
        for id in open {
            self.make(&id, lines);
        }
    }

    fn make(&mut self, id: &str, lines: usize) {
        let Some(at) = self.batches.iter().position(|it| it.id == id && it.is_open()) else {
            return;
        };
        for _ in 0..lines {
            if !self.batches[at].make_next() {
                return self.end(at, "completed", "");
            }
            self.made += 1;
        }
    }

    fn end(&mut self, at: usize, status: &'static str, code: &str) {
        let (output, errors) = self.batches[at].files(code);
        let key = self.batches[at].key.clone();
        let mut keep = |content: String| (!content.is_empty()).then(|| self.keep(&key, content));
        let (output, errors) = (keep(output), keep(errors));
        let batch = &mut self.batches[at];
        (batch.status, batch.output_file, batch.error_file) = (status, output, errors);
    }
}
