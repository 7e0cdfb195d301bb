//! A whole body in, a damaged one out: frame by frame, so that nothing is held.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::Response;
use hyper::body::{Body, Buf as _, Frame};
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use tokio::time::Sleep;

use super::{BoxError, Fault};
use crate::serving::Answer;

/// How long a connection is left alone before it breaks.
const REST: Duration = Duration::from_millis(20);

/// Reads at least so many bytes of a body, or all of it.
pub(super) async fn swallow(body: &mut (impl Body + Unpin), bytes: usize) {
    let mut seen = 0;
    while seen < bytes {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await;
        let Some(Ok(frame)) = frame else { return };
        seen += frame.into_data().map_or(0, |data| data.remaining());
    }
}

pub(super) fn spoil<B>(mut answer: Response<B>, fault: Fault) -> Answer
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError>,
{
    if let Fault::Lie(name, value) = fault {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        return answer.map(tonic::body::Body::new);
    }
    let length = answer.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let length = length.or_else(|| answer.body().size_hint().exact()?.try_into().ok());
    if let (Fault::Shorten(by), Some(length)) = (&fault, length) {
        let shorter: usize = length;
        answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(shorter.saturating_sub(*by)));
    }
    let length = length.unwrap_or_default();
    answer.map(|body| tonic::body::Body::new(Spoilt { body, fault, at: 0, length, rest: None }))
}

/// A body until its fault comes.
struct Spoilt<B> {
    body: B,
    fault: Fault,
    /// How many bytes of it went out.
    at: usize,
    length: usize,
    /// Before the connection breaks: what went out before must have left.
    rest: Option<Pin<Box<Sleep>>>,
}

impl<B> Body for Spoilt<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if matches!(self.fault, Fault::CutAnswer(after) if self.at >= after) {
            let rest = self.rest.get_or_insert_with(|| Box::pin(tokio::time::sleep(REST)));
            ready!(rest.as_mut().poll(cx));
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            Some(Ok(frame)) => frame,
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
        };
        let (at, mut chunk) = (self.at, data.to_vec());
        match self.fault {
            Fault::CutAnswer(after) if at >= after => {
                return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::ConnectionReset).into())));
            }
            // Nothing wakes it again.
            Fault::StallAnswer(after) if at >= after => return Poll::Pending,
            Fault::CutAnswer(after) | Fault::StallAnswer(after) => chunk.truncate(after - at),
            Fault::Shorten(by) => chunk.truncate(self.length.saturating_sub(by).saturating_sub(at)),
            Fault::Flip(byte) if (at..at + chunk.len()).contains(&byte) => {
                chunk[byte - at] = !chunk[byte - at];
            }
            _ => {}
        }
        self.at += chunk.len();
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(chunk)))))
    }
}
