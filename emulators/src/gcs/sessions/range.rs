//! A `Content-Range` of an upload in, what its `PUT` carries out ("Resumable uploads", "Upload the file in chunks").

use super::QUANTUM;
use crate::gcs::refusal::Refusal;

/// 5 TiB: the largest object.
const MOST_BYTES: u64 = 5 << 40;

/// What a `PUT` of an upload says of itself. Offsets are in the object; the end is behind the last byte.
#[derive(Debug, PartialEq)]
pub(super) struct Chunk {
    /// None when it carries nothing and only asks or ends.
    pub(super) start: Option<u64>,
    /// None when it is known only when the body ends.
    pub(super) end: Option<u64>,
    total: Option<u64>,
    /// Whether the whole object is in it, without a word on where.
    whole: bool,
}

impl Chunk {
    pub(super) fn read(header: Option<&str>, length: Option<u64>) -> Result<Self, Refusal> {
        let Some(header) = header else {
            return Ok(Self { start: Some(0), end: length, total: length, whole: true });
        };
        let bad = || Refusal::invalid("Failed to parse Content-Range header.");
        let (range, total) =
            header.strip_prefix("bytes ").and_then(|range| range.split_once('/')).ok_or_else(bad)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| bad());
        let total = if total == "*" { None } else { Some(number(total)?) };
        if total.is_some_and(|total| total > MOST_BYTES) {
            return Err(Refusal::invalid("The object is larger than 5 TiB"));
        }
        if range == "*" {
            if length.is_some_and(|length| length > 0) {
                return Err(Refusal::invalid("A request for the status of an upload has no body"));
            }
            return Ok(Self { start: None, end: None, total, whole: false });
        }
        let (first, last) = range.split_once('-').ok_or_else(bad)?;
        let start = number(first)?;
        let end = if last == "*" { None } else { Some(number(last)?.checked_add(1).ok_or_else(bad)?) };
        let out_of_order = end.is_some_and(|end| end <= start || total.is_some_and(|total| end > total));
        if out_of_order || total.is_some_and(|total| start > total) {
            return Err(bad());
        }
        if let (Some(end), Some(length)) = (end, length)
            && end - start != length
        {
            return Err(Refusal::invalid("The Content-Length is not that of the Content-Range"));
        }
        Ok(Self { start: Some(start), end, total, whole: false })
    }

    /// Says whether it may ask no more than how far the upload is.
    pub(super) fn is_query(&self) -> bool {
        self.start.is_none()
    }

    /// Compares with what is there. Gives the object's size, when it is known now.
    pub(super) fn check(&self, persisted: u64, known: Option<u64>) -> Result<Option<u64>, Refusal> {
        if let (Some(known), Some(total)) = (known, self.total)
            && known != total
        {
            return Err(Refusal::invalid("The size of the object is told twice, and differs"));
        }
        let total = self.total.or(known);
        if total.is_some_and(|total| total < persisted) {
            return Err(Refusal::invalid("The upload has more bytes than the object"));
        }
        if let Some(start) = self.start
            && start > persisted
        {
            let message = format!(
                "Invalid request.  According to the Content-Range header, the upload offset is {start} byte(s), \
                 which exceeds already uploaded size of {persisted} byte(s)."
            );
            return Err(Refusal::unavailable(message));
        }
        if let (Some(start), Some(end)) = (self.start, self.end) {
            if total.is_some_and(|total| end > total) {
                return Err(Refusal::invalid("The range ends behind the object"));
            }
            if end < persisted {
                return Err(Refusal::invalid("The upload has all bytes of this range already"));
            }
            if !self.is_last(end) && (end - start) % QUANTUM != 0 {
                return Err(Refusal::invalid("A chunk but the last must be a multiple of 256 KiB"));
            }
        }
        Ok(total)
    }

    /// Says whether the object ends where this one does.
    pub(super) fn is_last(&self, end: u64) -> bool {
        self.whole
            || self.total == Some(end)
            || (self.end.is_none() && self.total.is_none() && self.start.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str, length: u64) -> Result<Chunk, Refusal> {
        Chunk::read(Some(header), Some(length))
    }

    #[test]
    fn the_forms_of_a_range_are_read() {
        let chunk = |start, end, total| Chunk { start, end, total, whole: false };

        assert_eq!(read("bytes 0-9/10", 10).unwrap(), chunk(Some(0), Some(10), Some(10)));
        assert_eq!(read("bytes 5-9/*", 5).unwrap(), chunk(Some(5), Some(10), None));
        assert_eq!(Chunk::read(Some("bytes 5-*/*"), None).unwrap(), chunk(Some(5), None, None));
        assert_eq!(read("bytes */*", 0).unwrap(), chunk(None, None, None));
        assert_eq!(read("bytes */7", 0).unwrap(), chunk(None, None, Some(7)));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        let bad = [
            "",
            "bytes",
            "bytes 1",
            "bytes 5-4/9",
            "bytes 0-9/9",
            "bytes a-9/*",
            "bytes 0-9/x",
            "items 0-9/10",
        ];
        for header in bad {
            assert_eq!(read(header, 10).unwrap_err().status, 400, "{header}");
        }
        assert_eq!(read("bytes 0-9/10", 9).unwrap_err().status, 400);
        assert_eq!(read("bytes */*", 1).unwrap_err().status, 400);
    }

    #[test]
    fn only_the_last_chunk_is_of_any_size() {
        let odd = QUANTUM + 1;

        assert!(read(&format!("bytes 0-{}/*", odd - 1), odd).unwrap().check(0, None).is_err());
        assert!(read(&format!("bytes 0-{}/{odd}", odd - 1), odd).unwrap().check(0, None).is_ok());
        assert!(read(&format!("bytes 0-{}/*", QUANTUM - 1), QUANTUM).unwrap().check(0, None).is_ok());
    }

    #[test]
    fn a_gap_is_refused_and_an_overlap_is_not() {
        let chunk = read(&format!("bytes {QUANTUM}-{}/*", 2 * QUANTUM - 1), QUANTUM).unwrap();

        assert_eq!(chunk.check(0, None).unwrap_err().status, 503);
        assert!(chunk.check(QUANTUM, None).is_ok());
        assert!(chunk.check(2 * QUANTUM, None).is_ok());
    }

    #[test]
    fn a_size_does_not_change() {
        let chunk = read("bytes 0-9/10", 10).unwrap();

        assert!(chunk.check(0, Some(10)).is_ok());
        assert_eq!(chunk.check(0, Some(11)).unwrap_err().status, 400);
        let chunk = read(&format!("bytes 0-{}/*", QUANTUM - 1), QUANTUM).unwrap();
        assert_eq!(chunk.check(0, Some(11)).unwrap_err().status, 400);
    }
}
