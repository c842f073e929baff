// tokio's multi-thread runtime: a task for each connection.
//
// server THREADS    prints `listening on 127.0.0.1:PORT`; ../../protocol.hpp says what it is asked

use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MESSAGE_SIZE: usize = 64;
const READ_SIZE: usize = 16384;
const BURN_TIME: Duration = Duration::from_millis(20);
const BLOCK_TIME: Duration = Duration::from_millis(200);
static LARGE_ANSWER: [u8; 1 << 20] = [b'L'; 1 << 20];

fn is_heavy(kind: u8) -> bool {
    matches!(kind, b'H' | b'B' | b'L')
}

fn cpu_time_of_thread() -> Duration {
    let mut used = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut used) };
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}

fn burn() {
    let end = cpu_time_of_thread() + BURN_TIME;
    let mut state: u64 = 88172645463325252;
    while cpu_time_of_thread() < end {
        for _ in 0..2000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
        }
        // The compiler must not see that nobody needs it.
        state = unsafe { std::ptr::read_volatile(&state) };
    }
}

// Does what the message asks for and gives the answer.
fn answer_heavy(message: &[u8]) -> &[u8] {
    match message[0] {
        b'H' => burn(),
        b'B' => std::thread::sleep(BLOCK_TIME),
        _ => return &LARGE_ANSWER,
    }
    message
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; READ_SIZE];
    let mut filled = 0;
    loop {
        let count = stream.read(&mut buffer[filled..]).await?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let mut begin = 0;
        let mut end = 0;
        while end + MESSAGE_SIZE <= filled {
            if is_heavy(buffer[end]) {
                stream.write_all(&buffer[begin..end]).await?;
                begin = end + MESSAGE_SIZE;
                stream.write_all(answer_heavy(&buffer[end..begin])).await?;
            }
            end += MESSAGE_SIZE;
        }
        stream.write_all(&buffer[begin..end]).await?;
        buffer.copy_within(end..filled, 0);
        filled -= end;
    }
}

async fn accept_all() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream));
    }
}

fn main() -> std::io::Result<()> {
    let threads = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?
        .block_on(async { tokio::spawn(accept_all()).await? })
}
