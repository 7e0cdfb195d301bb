//! A port and a function from requests to answers in, a server of HTTP/1.1 and HTTP/2 out.

use std::io;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// What goes back, of whichever server.
pub(crate) type Answer = Response<tonic::body::Body>;

/// Serves every connection of a port, until it is dropped. An error of `serve` breaks its connection.
pub(crate) async fn accept<S, F>(listener: TcpListener, serve: S)
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = io::Result<Answer>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Small answers must not wait for the acknowledgement of their own headers (RFC 896).
                    if stream.set_nodelay(true).is_err() {
                        continue;
                    }
                    connections.spawn(converse(stream, serve.clone()));
                }
                Err(_) => return,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse<S, F>(stream: TcpStream, serve: S)
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = io::Result<Answer>> + Send + 'static,
{
    // HTTP/2 would end the one stream alone: what is broken here is the way to the server.
    let broken = Arc::new(Notify::new());
    let breaks = Arc::clone(&broken);
    let answer = service_fn(move |request| {
        let (answer, breaks) = (serve(request), Arc::clone(&breaks));
        async move { answer.await.inspect_err(|_| breaks.notify_one()) }
    });
    let server = Builder::new(TokioExecutor::new());
    tokio::select! {
        // A client that goes away is no news.
        _ = server.serve_connection(TokioIo::new(stream), answer) => {}
        () = broken.notified() => {}
    }
}
