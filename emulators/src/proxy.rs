//! A TCP proxy in front of a server: it knows bytes and no protocol, and breaks connections after so many of them.
//!
//! What it breaks is the way itself, so it tests what `Faults`, which breaks answers, can't: a part that is cut off
//! while it is sent, a connection on which nothing moves any more, a body that ends early after a good status.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// As much is read at once.
const CHUNK_BYTES: usize = 16 << 10;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To the server.
    Up,
    /// To the client.
    Down,
}

/// How a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Both ends get a reset.
    Cut,
    /// Nothing more goes this way, and the connection stays.
    Stall,
    /// The receiver gets an orderly end, as of a body that was all there.
    End,
}

/// A proxy that ends, with its connections, when it is dropped.
pub struct FaultProxy {
    endpoint: String,
    plan: Plan,
    accepting: JoinHandle<()>,
}

/// What is to happen to connections. Clones share it.
#[derive(Clone, Default)]
struct Plan(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    rules: Vec<Rule>,
    refused: usize,
    delay: Duration,
    broken: usize,
    /// Bytes to the server and to the client.
    carried: (u64, u64),
}

struct Rule {
    way: Way,
    after_bytes: u64,
    how: Break,
    is_due: bool,
}

/// How many bytes went one way over a connection since each rule was made, by its place.
type Passed = BTreeMap<usize, u64>;

impl Plan {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts bytes; tells how many of them still pass when the connection breaks in them.
    fn count(&self, way: Way, passed: &mut Passed, bytes: usize) -> Option<(usize, Break)> {
        let mut state = self.state();
        match way {
            Way::Up => state.carried.0 += bytes as u64,
            Way::Down => state.carried.1 += bytes as u64,
        }
        let mut broken = None;
        for (place, rule) in state.rules.iter_mut().enumerate().filter(|(_, rule)| rule.is_due) {
            let before = passed.entry(place).or_default();
            if rule.way != way {
                continue;
            }
            let left = rule.after_bytes.saturating_sub(*before);
            *before += bytes as u64;
            if *before > rule.after_bytes {
                rule.is_due = false;
                broken = Some((usize::try_from(left).unwrap_or(bytes), rule.how));
                break;
            }
        }
        state.broken += usize::from(broken.is_some());
        broken
    }
}

impl FaultProxy {
    /// Starts one in front of the server at `http://HOST:PORT`.
    ///
    /// # Errors
    /// When that is no address or no port can be listened on.
    pub async fn before(endpoint: &str) -> io::Result<Self> {
        let server = endpoint.strip_prefix("http://").unwrap_or(endpoint);
        let server: SocketAddr = server.parse().map_err(io::Error::other)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let plan = Plan::default();
        let accepting = tokio::spawn(accept(listener, server, plan.clone()));
        Ok(Self { endpoint, plan, accepting })
    }

    /// Gives the URL to reach the server by.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Breaks the first connection over which more than so many bytes go one way from now on.
    pub fn break_after(&self, way: Way, after_bytes: u64, how: Break) {
        self.plan.state().rules.push(Rule { way, after_bytes, how, is_due: true });
    }

    /// Resets so many coming connections at once.
    pub fn refuse(&self, connections: usize) {
        self.plan.state().refused = connections;
    }

    /// Holds back whatever comes for so long, from now on.
    pub fn delay(&self, delay: Duration) {
        self.plan.state().delay = delay;
    }

    /// Gives how many bytes came to be sent one way, over all connections, heads of requests and answers among them.
    pub fn carried(&self, way: Way) -> u64 {
        let (up, down) = self.plan.state().carried;
        match way {
            Way::Up => up,
            Way::Down => down,
        }
    }

    /// Gives how many connections were broken or refused.
    pub fn broken(&self) -> usize {
        self.plan.state().broken
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, plan: Plan) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(connect(client, server, plan.clone()));
                }
                Err(_) => return,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection until it ends or breaks. Errors of either end are ends.
async fn connect(mut client: TcpStream, server: SocketAddr, plan: Plan) -> io::Result<()> {
    client.set_nodelay(true)?;
    let is_refused = {
        let mut state = plan.state();
        let is_refused = state.refused > 0;
        state.refused -= usize::from(is_refused);
        state.broken += usize::from(is_refused);
        is_refused
    };
    if is_refused {
        return client.set_zero_linger();
    }
    let mut server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    let is_cut = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = carry(Way::Up, from_client, to_server, &plan);
        let down = carry(Way::Down, from_server, to_client, &plan);
        let (mut up, mut down) = (Box::pin(up), Box::pin(down));
        tokio::select! {
            ended = &mut up => ended? == Carried::Cut || down.await? == Carried::Cut,
            ended = &mut down => ended? == Carried::Cut || up.await? == Carried::Cut,
        }
    };
    if is_cut {
        client.set_zero_linger()?;
        server.set_zero_linger()?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carried {
    /// As far as the sender went, or as if it were.
    ToTheEnd,
    Cut,
}

async fn carry(way: Way, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, plan: &Plan) -> io::Result<Carried> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut passed = Passed::new();
    loop {
        let length = from.read(&mut chunk).await?;
        if length == 0 {
            to.shutdown().await?;
            return Ok(Carried::ToTheEnd);
        }
        let delay = plan.state().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let Some((left, how)) = plan.count(way, &mut passed, length) else {
            to.write_all(&chunk[..length]).await?;
            continue;
        };
        to.write_all(&chunk[..left]).await?;
        match how {
            Break::Cut => return Ok(Carried::Cut),
            Break::Stall => return std::future::pending().await,
            Break::End => {
                to.shutdown().await?;
                // Whoever sends still believes that it arrives.
                tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
                return Ok(Carried::ToTheEnd);
            }
        }
    }
}

#[cfg(test)]
mod tests;
