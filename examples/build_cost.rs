//! What each way to write the client costs whoever builds it: `cargo run --example build_cost`.
//! Every number is measured here and now, which takes some minutes.
//!
//! `kvs-client` is built with one feature at a time, in a target directory of this program's own.
//! The dependencies are built before, so that a time is that of the crate `kvs`, its library and the
//! program, and of the linker. Builds are releases without link-time optimization, which works on the
//! whole program, would take most of the time and hide what differs.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Builds of each client. All have their turn in each round, so that whatever else the machine does
/// meets all of them. A time is that of the fastest, since whatever else it does only adds to it.
const ROUNDS: usize = 3;

/// The first is there without a feature.
const CLIENTS: [&str; 7] = [
    "blocking", "boxed", "explicit", "anon", "manual", "pinned", "awaited",
];

/// Those with std futures, which have no combinators of their own.
const STD: [&str; 2] = ["pinned", "awaited"];

/// Somebody forgets that `get` returns a future, one combinator later. The trait is that of `futures`,
/// which is there in two versions.
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
        println!("What the compiler says of the mistake with {client}:\n\n{message}");
    }
    println!(
        "What a client costs to build (a release without link-time optimization, the dependencies \
         there; the fastest of {ROUNDS} builds):\n"
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

/// Cargo for releases in `target`.
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

/// What the compiler says of [`MISTAKE`], with the client that was built last. It says nothing where
/// that is the blocking one, for which it is no mistake.
fn message(target: &Path, client: &str) -> Result<String> {
    let mut mistake = MISTAKE.replace("CLIENT", client);
    // Mismatched types, or no such method.
    let code = match STD.contains(&client) {
        true => {
            mistake = mistake.replace("use tokio::prelude::Future;\n", "");
            "E0599"
        }
        false => "E0308",
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
    // Only the blocking client returns what the mistake takes it for.
    match (client, output.status.success()) {
        ("blocking", true) => Ok(String::new()),
        (_, false) if message.contains(code) => Ok(message),
        _ => Err(format!("that is another mistake: {message}").into()),
    }
}
