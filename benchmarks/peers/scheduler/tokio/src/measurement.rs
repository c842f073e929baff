// What is measured of a row, and how it is printed.

use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

pub struct Measurement {
    workers: usize,
    ops: u64,
    ms: f64,
    cpu_ms: f64,
    latencies: Vec<f64>,
}

pub fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn cpu_seconds() -> f64 {
    let mut used: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut used) };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
    seconds(used.ru_utime) + seconds(used.ru_stime)
}

fn peak_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
}

impl Measurement {
    pub fn new(workers: usize) -> Self {
        Measurement { workers, ops: 0, ms: 0.0, cpu_ms: 0.0, latencies: Vec::new() }
    }

    pub fn runtime(&self) -> Runtime {
        Builder::new_multi_thread().worker_threads(self.workers).enable_all().build().unwrap()
    }

    // Once as a rehearsal, and then until it took long enough.
    pub fn run<T: PartialEq>(&mut self, ops: u64, mut f: impl FnMut() -> T, expected: T) {
        const ENOUGH_MS: f64 = 300.0;
        const MOST: usize = 9;
        check(f() == expected);
        let mut rounds = Vec::new();
        let mut cpu_ms = 0.0;
        while rounds.iter().sum::<f64>() < ENOUGH_MS && rounds.len() < MOST {
            self.timed(ops, || check(f() == expected));
            rounds.push(self.ms);
            cpu_ms += self.cpu_ms;
        }
        rounds.sort_by(f64::total_cmp);
        self.ms = rounds[rounds.len() / 2];
        self.cpu_ms = cpu_ms / rounds.len() as f64;
    }

    pub fn timed(&mut self, ops: u64, f: impl FnOnce()) {
        let cpu = cpu_seconds();
        let begun = Instant::now();
        f();
        self.ms = begun.elapsed().as_secs_f64() * 1e3;
        self.cpu_ms = (cpu_seconds() - cpu) * 1e3;
        self.ops = ops;
    }

    pub fn latencies(&mut self, microseconds: Vec<f64>) {
        self.latencies = microseconds;
    }

    pub fn print(&mut self, row: &str) {
        print!(
            r#"{{"row":"{row}","workers":{},"ops":{},"ms":{:.3},"cpu_ms":{:.3},"peak_mb":{:.3}"#,
            self.workers,
            self.ops,
            self.ms,
            self.cpu_ms,
            peak_bytes() / 1e6
        );
        if !self.latencies.is_empty() {
            self.latencies.sort_by(f64::total_cmp);
            let of = |percent: usize| self.latencies[(self.latencies.len() - 1) * percent / 100];
            print!(r#","p50_us":{:.3},"p99_us":{:.3},"max_us":{:.3}"#, of(50), of(99), of(100));
        }
        println!("}}");
    }
}

pub fn check(right: bool) {
    if !right {
        eprintln!("wrong result");
        std::process::exit(1);
    }
}
