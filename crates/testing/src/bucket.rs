use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use http::{Request, Response, StatusCode};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{
    HttpError,
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use storage::Config;
use tempfile::TempDir;
use tokio::net::TcpListener;

const NAME: &str = "files";
const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// A bucket in a server that speaks S3's protocol and checks every signature.
pub struct Bucket {
    address: SocketAddr,
    directory: TempDir,
    failing: Arc<AtomicU16>,
}

impl Bucket {
    /// Makes an empty one.
    pub async fn start() -> Self {
        let directory = TempDir::new().expect("a directory for the bucket");
        fs::create_dir(directory.path().join(NAME)).expect("make the bucket");
        let mut service =
            S3ServiceBuilder::new(FileSystem::new(directory.path()).expect("open the directory"));
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("listen");
        let address = listener.local_addr().expect("an address");
        let failing = Arc::new(AtomicU16::new(0));
        tokio::spawn(serve(listener, service.build(), failing.clone()));
        Self { address, directory, failing }
    }

    /// Makes it where files are kept.
    pub fn settings(&self, storage: &mut Config) {
        storage.s3_bucket = Some(NAME.to_owned());
        storage.s3_endpoint = format!("http://{}", self.address).parse().ok();
        storage.s3_access_key_id = Some(KEY.to_owned());
        storage.s3_secret_access_key = Some(SECRET.into());
    }

    /// Lets it answer everything with `status`, or work again.
    pub fn fail_with(&self, status: Option<StatusCode>) {
        self.failing.store(status.map_or(0, |status| status.as_u16()), Ordering::SeqCst);
    }

    /// Where it keeps an object, to be looked at or damaged.
    pub fn path(&self, key: &storage::Key) -> PathBuf {
        self.directory.path().join(NAME).join(key.to_string())
    }
}

async fn serve(listener: TcpListener, service: S3Service, failing: Arc<AtomicU16>) {
    while let Ok((connection, _)) = listener.accept().await {
        let (service, failing) = (service.clone(), failing.clone());
        let answer = service_fn(move |request| {
            let (service, failing) = (service.clone(), failing.load(Ordering::SeqCst));
            async move { answer(&service, request, failing).await }
        });
        tokio::spawn(async move {
            let server = Builder::new(TokioExecutor::new());
            // It fails when the client leaves.
            server.serve_connection(TokioIo::new(connection), answer).await.ok();
        });
    }
}

async fn answer(
    service: &S3Service,
    request: Request<Incoming>,
    failing: u16,
) -> Result<Response<s3s::Body>, HttpError> {
    match StatusCode::from_u16(failing) {
        Ok(status) => {
            let mut answer = Response::new(s3s::Body::empty());
            *answer.status_mut() = status;
            Ok(answer)
        }
        Err(_) => service.call(request.map(s3s::Body::from)).await,
    }
}
