//! The cost of building each client: `cargo run --example build_cost`. It takes some minutes.
//!
//! The program builds `kvs-client` with one feature at a time, in a separate target directory. It
//! builds the dependencies first, so a time is that of the crate `kvs`, its library and its
//! program, and of the linker. The builds are releases without link-time optimization, which would
//! take most of the time and hide the differences.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// The number of builds of each client. Each round builds all clients, so other work on the machine
/// slows all of them down. The fastest build counts, because other work only adds to the time.
const ROUNDS: usize = 3;

/// The clients. The first one needs no feature.
const CLIENTS: [&str; 7] = [
    "blocking", "boxed", "explicit", "anon", "manual", "pinned", "awaited",
];

/// The clients with std futures, which have no combinators of their own.
const STD: [&str; 2] = ["pinned", "awaited"];

/// Code that forgets that `get` returns a future, one combinator later.
///
/// It imports the trait `Future` from tokio, because there are two versions of the crate `futures`.
const MISTAKE: &str = r#"
use tokio::prelude::Future;
use kvs::KvsError;
use kvs::client::CLIENT::KvsClient;

pub fn length(client: &mut KvsClient) -> Result<usize, KvsError> {
    client.get("key".to_owned()).map(|value| value.map_or(0, |value| value.len()))
}
"#;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/build-cost");
    eprintln!("Building the dependencies in {}", target.display());
    build(&target, "blocking")?;

    let mut seconds = CLIENTS.map(|_| f64::INFINITY);
    let mut sizes = CLIENTS.map(|_| 0);
    let mut messages = CLIENTS.map(|_| String::new());
    for round in 1..=ROUNDS {
        for (n, client) in CLIENTS.into_iter().enumerate() {
            eprintln!("Building {client}, round {round} of {ROUNDS}");
            run(cargo(&target, "clean").args(["--package", "kvs"]))?;
            let began = Instant::now();
            build(&target, client)?;
            seconds[n] = seconds[n].min(began.elapsed().as_secs_f64());
            sizes[n] = fs::metadata(target.join("release/kvs-client"))?.len();
            messages[n] = message(&target, client)?;
        }
    }

    for (client, message) in CLIENTS.iter().zip(&messages).skip(1) {
        println!("The compiler's message about the mistake with {client}:\n\n{message}");
    }
    println!(
        "The cost of building a client (a release without link-time optimization, with the \
         dependencies built; the fastest of {ROUNDS} builds):\n"
    );
    println!("client    compile s  stripped bytes  message bytes");
    for (n, client) in CLIENTS.into_iter().enumerate() {
        println!(
            "{client:<9} {:>9.2} {:>15} {:>14}",
            seconds[n],
            sizes[n],
            messages[n].len(),
        );
    }
    Ok(())
}

/// Returns a command that runs Cargo for releases in `target`.
fn cargo(target: &Path, command: &str) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args([command, "--quiet", "--release", "--target-dir"]);
    cargo.arg(target);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    for (option, value) in [("LTO", "off"), ("DEBUG", "false"), ("STRIP", "symbols")] {
        cargo.env(format!("CARGO_PROFILE_RELEASE_{option}"), value);
    }
    cargo
}

fn build(target: &Path, client: &str) -> Result<()> {
    let mut cargo = cargo(target, "build");
    if client != "blocking" {
        cargo.args(["--features", client]);
    }
    run(cargo.args(["--bin", "kvs-client"]))
}

fn run(command: &mut Command) -> Result<()> {
    match command.status()? {
        status if status.success() => Ok(()),
        status => Err(format!("{command:?}: {status}").into()),
    }
}

/// Returns the compiler's message about [`MISTAKE`] with the client that was built last. For the
/// blocking client the code is right, and the message empty.
fn message(target: &Path, client: &str) -> Result<String> {
    let mut mistake = MISTAKE.replace("CLIENT", client);
    let code = if STD.contains(&client) {
        mistake = mistake.replace("use tokio::prelude::Future;\n", "");
        "E0599" // no such method
    } else {
        "E0308" // mismatched types
    };
    fs::write(target.join("mistake.rs"), mistake)?;
    let output = Command::new("rustc")
        .current_dir(target)
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata"])
        .args([
            "-Lrelease/deps",
            "--extern=kvs",
            "--extern=tokio",
            "mistake.rs",
        ])
        .output()?;
    let message = String::from_utf8(output.stderr)?;
    match (client, output.status.success()) {
        ("blocking", true) => Ok(String::new()),
        (_, false) if message.contains(code) => Ok(message),
        _ => Err(format!("the compiler reports another mistake: {message}").into()),
    }
}
