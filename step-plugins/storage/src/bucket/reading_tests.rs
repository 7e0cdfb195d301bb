//! Large objects come in spans side by side: in order, bounded, of one state, and to the end or to an error.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use rekindle_engine::host::{Body, Stamp, StoreErrorKind};

use super::checksum::{Crc64Nvme, Sum};
use super::reading::{SPAN_BYTES, SPANS_AT_ONCE, Source, Told, Wanted, open, open_in_state};
use crate::contract::{MIB, noise};
use crate::failure::Failure;

const CHUNK_BYTES: usize = 100_000;
const SPAN: usize = 8 * MIB;
static OBJECT: LazyLock<Bytes> = LazyLock::new(|| noise(5 * SPAN + 7).into());

/// The first byte that is asked for, and the one behind the last where one is named.
type Asked = (usize, Option<usize>);

/// A provider with one object, that counts what is asked of it.
#[derive(Clone, Default)]
struct Fake {
    /// Chunks come after a number of turns that depends on this and on where they are.
    seed: usize,
    /// The next answer that brings this byte breaks off before it; how often.
    cuts: Arc<Mutex<Vec<(usize, usize)>>>,
    /// Answers bring nothing from this byte on.
    stalls_at: Option<usize>,
    state: Arc<Mutex<Option<&'static str>>>,
    knows_conditions: bool,
    sum: Option<String>,
    asked: Arc<Mutex<Vec<Asked>>>,
    open: Arc<AtomicUsize>,
    most_open: Arc<AtomicUsize>,
    brought_bytes: Arc<AtomicUsize>,
}

struct Answer {
    at: usize,
    end: usize,
    open: Arc<AtomicUsize>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Fake {
    fn new() -> Self {
        let state = Arc::new(Mutex::new(Some("one")));
        let sum = Some(Sum::<Crc64Nvme>::of(&OBJECT).text());
        Self { state, sum, knows_conditions: true, ..Self::default() }
    }

    fn cut(self, at: usize, times: usize) -> Self {
        self.cuts.lock().unwrap().push((at, times));
        self
    }

    async fn open(&self) -> Body {
        open(self.clone(), None).await.unwrap_or_else(|failure| panic!("{failure:?}"))
    }

    async fn read(&self) -> io::Result<Vec<u8>> {
        self.open().await.collect(OBJECT.len()).await
    }

    fn asked(&self) -> Vec<(usize, Option<usize>)> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort_unstable();
        asked
    }

    /// Lets everything run until it has to wait for the reader.
    async fn settle(&self) {
        let mut before = (usize::MAX, usize::MAX);
        loop {
            let now = (self.open.load(Ordering::SeqCst), self.brought_bytes.load(Ordering::SeqCst));
            if now == before {
                return;
            }
            before = now;
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[async_trait]
impl Source for Fake {
    type Kept = Crc64Nvme;
    type Answer = Answer;

    fn object(&self) -> &'static str {
        "a"
    }

    async fn size(&self) -> Result<Option<u64>, Failure> {
        Ok(Some(OBJECT.len() as u64))
    }

    async fn ask(&self, wanted: Wanted<'_>) -> Result<(Answer, Told), Failure> {
        let (at, end) =
            (usize::try_from(wanted.from).unwrap(), wanted.end.map(|end| end.try_into().unwrap()));
        self.asked.lock().unwrap().push((at, end));
        let state = self.state.lock().unwrap().map(str::to_owned);
        if self.knows_conditions && wanted.state.is_some() && wanted.state != state.as_deref() {
            return Err(Failure::new(StoreErrorKind::AlreadyExists, "the condition failed"));
        }
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_open.fetch_max(open, Ordering::SeqCst);
        let answer = Answer { at, end: end.unwrap_or(OBJECT.len()), open: Arc::clone(&self.open) };
        Ok((answer, Told { whole_size: Some(OBJECT.len() as u64), state, sum: self.sum.clone() }))
    }

    async fn next(&self, answer: &mut Answer) -> Option<io::Result<Bytes>> {
        for _ in 0..(answer.at / CHUNK_BYTES * 31 + self.seed * 17) % 23 * self.seed {
            tokio::task::yield_now().await;
        }
        if self.stalls_at.is_some_and(|at| answer.at >= at) {
            std::future::pending::<()>().await;
        }
        let mut end = answer.end.min(answer.at + CHUNK_BYTES);
        for (cut, times) in &mut *self.cuts.lock().unwrap() {
            if *times > 0 && answer.at == *cut {
                *times -= 1;
                return Some(Err(io::Error::from(io::ErrorKind::ConnectionReset)));
            }
            if *times > 0 && (answer.at..end).contains(cut) {
                end = *cut;
            }
        }
        if answer.at == end {
            return None;
        }
        let chunk = OBJECT.slice(answer.at..end);
        answer.at = end;
        self.brought_bytes.fetch_add(chunk.len(), Ordering::SeqCst);
        Some(Ok(chunk))
    }
}

#[tokio::test]
async fn spans_are_handed_over_in_order_however_they_come() {
    for seed in 0..6 {
        let fake = Fake { seed, ..Fake::new() };
        assert!(fake.read().await.unwrap() == *OBJECT, "{seed}");
        let spans = (1..6).map(|span| (span * SPAN, Some(OBJECT.len().min((span + 1) * SPAN))));
        assert_eq!(fake.asked(), [(0, None)].into_iter().chain(spans).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_range_of_a_known_state_is_asked_for_in_spans_from_the_first() {
    let fake = Fake::new();
    let range = 5..5 + 2 * SPAN_BYTES + 1;
    let body =
        open_in_state(fake.clone(), &Stamp("one".to_owned()), range).await.unwrap_or_else(|_| panic!());
    assert!(body.collect(3 * SPAN).await.unwrap() == OBJECT[5..=5 + 2 * SPAN]);
    let end = 5 + 2 * SPAN;
    assert_eq!(fake.asked(), [(5, Some(5 + SPAN)), (5 + SPAN, Some(end)), (end, Some(end + 1))]);
}

#[tokio::test]
async fn what_is_not_large_or_has_no_state_comes_in_one_answer() {
    let fake = Fake::new();
    let body = open(fake.clone(), Some(1..1 + 2 * SPAN_BYTES)).await.unwrap_or_else(|_| panic!());
    assert!(body.collect(2 * SPAN).await.unwrap() == OBJECT[1..=2 * SPAN]);
    assert_eq!(fake.asked(), [(1, Some(1 + 2 * SPAN))]);

    let fake = Fake { state: Arc::default(), ..Fake::new() };
    assert!(fake.read().await.unwrap() == *OBJECT);
    assert_eq!(fake.asked(), [(0, None)]);
}

#[tokio::test]
async fn a_slow_reader_bounds_what_is_open_and_what_is_held() {
    let fake = Fake::new();
    let mut body = fake.open().await;
    fake.settle().await;
    let held = fake.brought_bytes.load(Ordering::SeqCst);
    // Some in the body's own channel, the others of their spans, and one chunk each on its way.
    assert!(held <= SPANS_AT_ONCE * SPAN + 8 * MIB + SPANS_AT_ONCE * CHUNK_BYTES, "{held}");
    assert!(held > (SPANS_AT_ONCE - 1) * SPAN, "{held}");
    let mut all = Vec::new();
    while let Some(chunk) = body.next().await.unwrap() {
        assert!(chunk.len() <= MIB);
        all.extend_from_slice(&chunk);
        fake.settle().await;
        let ahead = fake.brought_bytes.load(Ordering::SeqCst) - all.len();
        assert!(ahead <= SPANS_AT_ONCE * SPAN + 8 * MIB + SPANS_AT_ONCE * CHUNK_BYTES, "{ahead}");
    }
    assert!(all == *OBJECT);
    assert!(fake.most_open.load(Ordering::SeqCst) <= SPANS_AT_ONCE);
}

#[tokio::test]
async fn a_span_that_is_cut_off_goes_on_from_its_byte() {
    let cut = 2 * SPAN + 12_345;
    let fake = Fake { seed: 1, ..Fake::new() }.cut(cut, 2).cut(777, 1);
    assert!(fake.read().await.unwrap() == *OBJECT);
    let asked = fake.asked();
    let again: Vec<_> = asked.iter().filter(|(at, _)| *at == cut || *at == 777).collect();
    assert_eq!(again, [&(777, Some(SPAN)), &(cut, Some(3 * SPAN)), &(cut, Some(3 * SPAN))]);
    assert_eq!(asked.len(), 6 + 3);
}

#[tokio::test]
async fn a_span_that_can_not_be_read_ends_the_body_with_an_error_after_what_came_before() {
    let cut = 3 * SPAN + 12_345;
    let fake = Fake::new().cut(cut, usize::MAX);
    let mut body = fake.open().await;
    let mut came = Vec::new();
    let error = loop {
        match body.next().await {
            Ok(chunk) => came.extend_from_slice(&chunk.expect("an end is no error")),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(came == OBJECT[..cut]);
    fake.settle().await;
    assert_eq!(fake.open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_object_replaced_between_two_spans_is_refused() {
    // Whether the server knows the condition, or only tells what it has.
    for knows_conditions in [true, false] {
        let fake = Fake { knows_conditions, ..Fake::new() };
        let body = fake.open().await;
        *fake.state.lock().unwrap() = Some("two");
        let error = body.collect(OBJECT.len()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        insta::allow_duplicates! {
            insta::assert_snapshot!(error, @"`a` was replaced while it was read");
        }
    }
}

#[tokio::test]
async fn a_whole_that_is_not_what_is_stored_has_no_end() {
    let fake = Fake { sum: Some(Sum::<Crc64Nvme>::of(b"other").text()), ..Fake::new() };
    let error = fake.read().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    insta::assert_snapshot!(error, @"what came has another checksum than what is stored (CRC64NVME)");
}

#[tokio::test]
async fn a_reader_that_goes_ends_every_request() {
    // They wait for a server that says nothing, and would for ever.
    let fake = Fake { stalls_at: Some(MIB), ..Fake::new() };
    let mut body = fake.open().await;
    body.next().await.unwrap();
    fake.settle().await;
    assert_eq!(fake.open.load(Ordering::SeqCst), SPANS_AT_ONCE);
    drop(body);
    fake.settle().await;
    assert_eq!(fake.open.load(Ordering::SeqCst), 0);
}
