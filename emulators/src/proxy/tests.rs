//! What comes through, and how it breaks off.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{Break, FaultProxy, Way};

/// More than any of these needs.
const LONG: Duration = Duration::from_secs(20);
/// Less than anything that moves takes to arrive here.
const SHORT: Duration = Duration::from_millis(300);

/// A proxy in front of a server that sends everything back.
async fn echo() -> FaultProxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    FaultProxy::before(&format!("http://{server}")).await.unwrap()
}

async fn connect(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(proxy.endpoint().strip_prefix("http://").unwrap()).await.unwrap()
}

/// Sends bytes, and reads what comes back until the connection ends.
async fn send(proxy: &FaultProxy, bytes: &[u8]) -> (Vec<u8>, Option<ErrorKind>) {
    let mut stream = connect(proxy).await;
    stream.write_all(bytes).await.unwrap();
    let mut back = Vec::new();
    let mut chunk = [0; 1024];
    while back.len() < bytes.len() {
        match timeout(LONG, stream.read(&mut chunk)).await.unwrap() {
            Ok(0) => return (back, None),
            Ok(length) => back.extend_from_slice(&chunk[..length]),
            Err(error) => return (back, Some(error.kind())),
        }
    }
    (back, None)
}

#[tokio::test]
async fn what_no_rule_breaks_comes_through() {
    let proxy = echo().await;
    let bytes = vec![7; 100_000];
    assert!(send(&proxy, &bytes).await == (bytes, None));
    assert_eq!(proxy.broken(), 0);
}

#[tokio::test]
async fn a_connection_is_cut_after_so_many_bytes_and_the_next_is_not() {
    let proxy = echo().await;
    proxy.break_after(Way::Down, 10, Break::Cut);
    let (back, how) = send(&proxy, &[7; 100]).await;
    assert!(back.len() <= 10, "{}", back.len());
    assert_eq!(how, Some(ErrorKind::ConnectionReset));
    proxy.break_after(Way::Up, 10, Break::Cut);
    assert_eq!(send(&proxy, &[7; 100]).await.1, Some(ErrorKind::ConnectionReset));
    assert_eq!(send(&proxy, &[7; 100]).await.0.len(), 100);
    assert_eq!(proxy.broken(), 2);
}

#[tokio::test]
async fn an_end_comes_early_and_in_good_order() {
    let proxy = echo().await;
    proxy.break_after(Way::Down, 10, Break::End);
    assert_eq!(send(&proxy, &[7; 100]).await, (vec![7; 10], None));
}

#[tokio::test]
async fn a_stalled_connection_stays_and_moves_nothing() {
    let proxy = echo().await;
    proxy.break_after(Way::Up, 10, Break::Stall);
    let mut stream = connect(&proxy).await;
    stream.write_all(&[7; 100]).await.unwrap();
    let mut back = [0; 100];
    timeout(LONG, stream.read_exact(&mut back[..10])).await.unwrap().unwrap();
    assert!(timeout(SHORT, stream.read(&mut back)).await.is_err());
}

#[tokio::test]
async fn a_refused_connection_is_reset_at_once() {
    let proxy = echo().await;
    proxy.refuse(1);
    let mut stream = connect(&proxy).await;
    let read = timeout(LONG, stream.read(&mut [0; 1])).await.unwrap();
    assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(send(&proxy, b"x").await.0, b"x");
}

#[tokio::test]
async fn what_is_delayed_arrives_later() {
    let proxy = echo().await;
    proxy.delay(Duration::from_millis(50));
    let begun = std::time::Instant::now();
    assert_eq!(send(&proxy, b"x").await.0, b"x");
    assert!(begun.elapsed() >= Duration::from_millis(100), "{:?}", begun.elapsed());
}
