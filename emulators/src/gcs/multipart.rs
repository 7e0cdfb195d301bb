//! A `multipart/related` body in, its parts out one after the other (RFC 2387, RFC 2046 section 5.1).

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::StreamExt as _;
use memchr::memmem;
use s3s::Body;

use super::refusal::Refusal;
use super::upload::broken;

/// The most that the headers of a part may take.
const MOST_HEADER_BYTES: usize = 16 * 1024;

/// The parts of a body. No more of it is held than the delimiter could lie in.
pub(super) struct Parts {
    body: Body,
    /// What came and isn't taken yet.
    held: BytesMut,
    /// Line end, hyphens and boundary: what a part ends with.
    delimiter: Vec<u8>,
    /// Whether the delimiter is what comes next.
    at_delimiter: bool,
}

impl Parts {
    pub(super) fn of(body: Body, kind: &str) -> Result<Self, Refusal> {
        let mut parameters = kind.split(';').map(str::trim);
        let related = parameters.next().is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/related"));
        let boundary = parameters.find_map(|parameter| parameter.strip_prefix("boundary="));
        let boundary =
            boundary.map(|boundary| boundary.trim_matches('"')).filter(|boundary| !boundary.is_empty());
        let (true, Some(boundary)) = (related, boundary) else {
            return Err(Refusal::invalid(
                "A multipart upload has the type multipart/related, with a boundary",
            ));
        };
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The first one has no line before it.
        Ok(Self { body, held: BytesMut::from("\r\n"), delimiter, at_delimiter: false })
    }

    /// Goes to the next part and gives its type, empty when it tells none; nothing after the last.
    pub(super) async fn next(&mut self) -> Result<Option<String>, Refusal> {
        while self.chunk().await?.is_some() {}
        self.held.advance(self.delimiter.len());
        self.at_delimiter = false;
        self.need(2).await?;
        if self.held.starts_with(b"--") {
            return Ok(None);
        }
        let end = loop {
            if let Some(end) = memmem::find(&self.held, b"\r\n\r\n") {
                break end;
            }
            if self.held.len() > MOST_HEADER_BYTES {
                return Err(Refusal::invalid("The headers of a part are too large"));
            }
            self.more().await?;
        };
        let headers = self.held.split_to(end + 4);
        let headers =
            std::str::from_utf8(&headers).map_err(|_| Refusal::invalid("A part has odd headers"))?;
        let kind = headers.lines().filter_map(|line| line.split_once(':'));
        let mut kind = kind.filter(|(name, _)| name.trim().eq_ignore_ascii_case("content-type"));
        Ok(Some(kind.next().map(|(_, value)| value.trim().to_owned()).unwrap_or_default()))
    }

    /// Gives the next bytes of the part; nothing at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            if self.at_delimiter {
                return Ok(None);
            }
            if let Some(at) = memmem::find(&self.held, &self.delimiter) {
                self.at_delimiter = true;
                if at > 0 {
                    return Ok(Some(self.held.split_to(at).freeze()));
                }
                continue;
            }
            // The delimiter may have begun.
            let sure = self.held.len().saturating_sub(self.delimiter.len());
            if sure > 0 {
                return Ok(Some(self.held.split_to(sure).freeze()));
            }
            self.more().await?;
        }
    }

    /// Gives all of the part, when it is no larger than this.
    pub(super) async fn whole(&mut self, most: usize) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > most {
                return Err(Refusal::invalid("A part in JSON is too large"));
            }
        }
        Ok(bytes)
    }

    async fn need(&mut self, bytes: usize) -> Result<(), Refusal> {
        while self.held.len() < bytes {
            self.more().await?;
        }
        Ok(())
    }

    async fn more(&mut self) -> Result<(), Refusal> {
        let chunk = self.body.next().await.ok_or_else(broken)?.map_err(|_| broken())?;
        self.held.extend_from_slice(&chunk);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str =
        "--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\n\r\none\r\n--\r\ntwo\r\n--b--";

    async fn read(body: &str) -> Result<Vec<(String, Vec<u8>)>, Refusal> {
        let mut parts = Parts::of(Body::from(body.to_owned()), "multipart/related; boundary=\"b\"")?;
        let mut found = Vec::new();
        while let Some(kind) = parts.next().await? {
            found.push((kind, parts.whole(100).await?));
        }
        Ok(found)
    }

    #[tokio::test]
    async fn parts_come_with_type_and_bytes() {
        let found = read(BODY).await.unwrap();

        let wanted =
            [("application/json".to_owned(), b"{}".to_vec()), (String::new(), b"one\r\n--\r\ntwo".to_vec())];
        assert_eq!(found, wanted);
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_refused_wherever_it_does() {
        for end in 0..BODY.len() {
            assert!(read(&BODY[..end]).await.is_err(), "{end}");
        }
    }

    #[test]
    fn another_type_is_refused() {
        for kind in
            ["", "multipart/form-data; boundary=b", "multipart/related", "multipart/related; boundary="]
        {
            assert!(Parts::of(Body::empty(), kind).is_err(), "{kind}");
        }
    }
}
