use crate::measurement::{microseconds, Measurement};
use std::future::Future;
use std::pin::Pin;
use std::sync::{mpsc as threads, Arc};
use std::thread::sleep;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, Mutex, Semaphore};
use tokio::task::{yield_now, JoinSet};

// Smaller than the others' fib(34) and 10 million leaves: that would take many seconds and gigabytes.
const FIB_OF: u32 = 30;
const FIB_VALUE: u64 = 832_040;
const FIB_TASKS: u64 = 2_692_537;
const SKYNET_LEAVES: u64 = 1_000_000;
const SKYNET_TASKS: u64 = 1_111_111;

const BOARD: usize = 12;
const QUEENS_VALUE: u64 = 14_200;
const QUEENS_TASKS: u64 = 856_189;
const MILLION: u64 = 1_000_000;
const YIELDING_TASKS: u64 = 2;
const COMPETING_TASKS: u64 = 100;
const PERMITS: usize = 4;
const CHANNEL_ITEMS: u64 = 10_000_000;
const CHANNEL_CAPACITY: usize = 1024;
const CONNECTIONS: u64 = 20;
const ROUND_TRIPS: u64 = 100_000;
const MESSAGE_SIZE: usize = 64;

// --- forks and joins ---

type Branch = Pin<Box<dyn Future<Output = u64> + Send>>;

// One branch is a task, the other goes on in this one.
fn fib(n: u32) -> Branch {
    Box::pin(async move {
        if n < 2 {
            return n as u64;
        }
        let forked = tokio::spawn(fib(n - 1));
        let b = fib(n - 2).await;
        forked.await.unwrap() + b
    })
}

fn skynet(first: u64, leaves: u64) -> Branch {
    Box::pin(async move {
        if leaves == 1 {
            return first;
        }
        let branches: Vec<_> =
            (0..10).map(|i| tokio::spawn(skynet(first + i * (leaves / 10), leaves / 10))).collect();
        let mut sum = 0;
        for each in branches {
            sum += each.await.unwrap();
        }
        sum
    })
}

type Placement = [i8; BOARD];

fn safe(placed: &Placement, columns: usize, row: i8) -> bool {
    placed[..columns].iter().enumerate().all(|(column, &other)| {
        let distance = (columns - column) as i8;
        other != row && other != row - distance && other != row + distance
    })
}

fn queens(placed: Placement, columns: usize) -> Branch {
    Box::pin(async move {
        if columns == BOARD {
            return 1;
        }
        let mut branches = Vec::with_capacity(BOARD);
        for row in (0..BOARD as i8).filter(|&row| safe(&placed, columns, row)) {
            let mut next = placed;
            next[columns] = row;
            branches.push(tokio::spawn(queens(next, columns + 1)));
        }
        let mut sum = 0;
        for each in branches {
            sum += each.await.unwrap();
        }
        sum
    })
}

async fn flat() -> u64 {
    let mut all = JoinSet::new();
    for _ in 0..MILLION {
        all.spawn(async {});
    }
    let mut joined = 0;
    while all.join_next().await.is_some() {
        joined += 1;
    }
    joined
}

async fn spawn_all_then_join() -> u64 {
    let handles: Vec<_> = (0..MILLION).map(|_| tokio::spawn(async {})).collect();
    let mut joined = 0;
    for each in handles {
        each.await.unwrap();
        joined += 1;
    }
    joined
}

// In the runtime: block_on() alone would run it on this thread.
fn run<T, F>(m: &mut Measurement, ops: u64, make: impl Fn() -> F, expected: T)
where
    T: PartialEq + Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let runtime = m.runtime();
    m.run(ops, || runtime.block_on(runtime.spawn(make())).unwrap(), expected);
}

// --- taking turns ---

// So many tasks at once that do the same.
async fn all<F: Future<Output = ()> + Send + 'static>(count: u64, make: impl Fn() -> F) {
    let handles: Vec<_> = (0..count).map(|_| tokio::spawn(make())).collect();
    for each in handles {
        each.await.unwrap();
    }
}

async fn yield_often() {
    for _ in 0..MILLION / YIELDING_TASKS {
        yield_now().await;
    }
}

async fn take_turns(guarded: Arc<Mutex<u64>>) {
    for _ in 0..MILLION / COMPETING_TASKS {
        *guarded.lock().await += 1;
    }
}

async fn all_take_turns() -> u64 {
    let guarded = Arc::new(Mutex::new(0));
    all(COMPETING_TASKS, || take_turns(guarded.clone())).await;
    let count = *guarded.lock().await;
    count
}

async fn pass_often(gate: Arc<Semaphore>) {
    for _ in 0..MILLION / COMPETING_TASKS {
        let _permit = gate.acquire().await.unwrap();
    }
}

async fn all_pass() {
    let gate = Arc::new(Semaphore::new(PERMITS));
    all(COMPETING_TASKS, || pass_often(gate.clone())).await;
}

async fn channel() -> u64 {
    let (to, mut from) = mpsc::channel(CHANNEL_CAPACITY);
    tokio::spawn(async move {
        for _ in 0..CHANNEL_ITEMS {
            to.send(1u64).await.unwrap();
        }
    });
    let mut sum = 0;
    while let Some(item) = from.recv().await {
        sum += item;
    }
    sum
}

// --- TCP ---

async fn answer(mut client: TcpStream) {
    client.set_nodelay(true).unwrap();
    let mut buffer = [0; MESSAGE_SIZE];
    while let Ok(got) = client.read(&mut buffer).await {
        if got == 0 || client.write_all(&buffer[..got]).await.is_err() {
            return;
        }
    }
}

async fn ask(server: std::net::SocketAddr) {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; MESSAGE_SIZE];
    for _ in 0..ROUND_TRIPS / CONNECTIONS {
        stream.write_all(&buffer).await.unwrap();
        stream.read_exact(&mut buffer).await.unwrap();
    }
}

async fn tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for _ in 0..CONNECTIONS {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(answer(client));
        }
    });
    all(CONNECTIONS, || ask(server)).await;
}

// --- from outside ---

fn wakeup(m: &mut Measurement) {
    const TIMES: usize = 5000;
    let runtime = m.runtime();
    let mut waits = Vec::with_capacity(TIMES);
    let once = |waits: &mut Vec<f64>| {
        sleep(Duration::from_micros(200));
        let begun = Instant::now();
        runtime.block_on(runtime.spawn(async {})).unwrap();
        waits.push(microseconds(begun.elapsed()));
    };
    for _ in 0..TIMES / 10 {
        once(&mut waits);
    }
    waits.clear();
    m.timed(TIMES as u64, || {
        for _ in 0..TIMES {
            once(&mut waits);
        }
    });
    m.latencies(waits);
}

async fn fork_until(end: Instant) {
    while Instant::now() < end {
        let forked = [tokio::spawn(async {}), tokio::spawn(async {})];
        for each in forked {
            each.await.unwrap();
        }
    }
}

fn hog(m: &mut Measurement) {
    const LASTS: Duration = Duration::from_secs(1);
    const PAUSE: Duration = Duration::from_millis(5);
    let runtime = m.runtime();
    let mut waits = Vec::new();
    m.timed(1, || {
        let end = Instant::now() + LASTS;
        let hog = runtime.spawn(fork_until(end));
        sleep(LASTS / 10);
        while Instant::now() + 2 * PAUSE < end {
            let (tell, told) = threads::channel();
            let submitted = Instant::now();
            runtime.spawn(async move { tell.send(Instant::now()).unwrap() });
            waits.push(microseconds(told.recv().unwrap() - submitted));
            sleep(PAUSE);
        }
        runtime.block_on(hog).unwrap();
    });
    m.latencies(waits);
}

fn idle(m: &mut Measurement) {
    let runtime = m.runtime();
    runtime.block_on(runtime.spawn(async {})).unwrap();
    m.timed(1, || sleep(Duration::from_secs(2)));
}

async fn compute_two_seconds() {
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {}
}

fn busy(m: &mut Measurement) {
    let runtime = m.runtime();
    runtime.block_on(runtime.spawn(async {})).unwrap();
    m.timed(1, || runtime.block_on(runtime.spawn(compute_two_seconds())).unwrap());
}

pub const ROWS: [(&str, fn(&mut Measurement)); 14] = [
    ("fib34", |m| run(m, FIB_TASKS, || fib(FIB_OF), FIB_VALUE)),
    ("skynet10m", |m| run(m, SKYNET_TASKS, || skynet(0, SKYNET_LEAVES), SKYNET_LEAVES * (SKYNET_LEAVES - 1) / 2)),
    ("queens12", |m| run(m, QUEENS_TASKS, || queens([0; BOARD], 0), QUEENS_VALUE)),
    ("flat1m", |m| run(m, MILLION, flat, MILLION)),
    ("spawn1m", |m| run(m, MILLION, spawn_all_then_join, MILLION)),
    ("yield1m", |m| run(m, MILLION, || all(YIELDING_TASKS, yield_often), ())),
    ("mutex1m", |m| run(m, MILLION, all_take_turns, MILLION)),
    ("semaphore1m", |m| run(m, MILLION, all_pass, ())),
    ("channel10m", |m| run(m, CHANNEL_ITEMS, channel, CHANNEL_ITEMS)),
    ("tcp100k", |m| run(m, ROUND_TRIPS, tcp, ())),
    ("wakeup", wakeup),
    ("hog", hog),
    ("idle", idle),
    ("busy", busy),
];
