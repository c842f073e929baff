// tokio's multi-thread runtime. ../../twin.hpp says how a twin is called and what it prints, ../../work.hpp what a row
// is.

mod measurement;
mod rows;

use measurement::Measurement;
use std::process::exit;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["--list"] {
        for (name, _) in rows::ROWS {
            println!("{name}");
        }
        return;
    }
    if let [asked, option, number] = &arguments[..] {
        let workers = number.parse().unwrap_or(0);
        let found = rows::ROWS.iter().find(|(name, _)| name == asked);
        if let (true, true, Some((name, run))) = (option == "--workers", workers > 0, found) {
            let mut m = Measurement::new(workers);
            run(&mut m);
            m.print(name);
            return;
        }
    }
    eprintln!("usage: twin --list | twin ROW --workers N");
    exit(2);
}
