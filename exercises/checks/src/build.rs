//! Compiles the programs of a package, and runs their tests.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Failure, ROOT};

/// The time that the tests of a solution may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The time that the tests of other programs may take. It is longer, because several of their tests
/// may fail at their own time limits, one after the other.
const LONG_LIMIT: Duration = Duration::from_secs(120);

/// A program that was compiled with its tests, or the errors of the compiler.
#[derive(Default)]
pub struct Built {
    executable: Option<PathBuf>,
    /// The codes of the errors.
    codes: Vec<String>,
    /// The errors, as a terminal shows them.
    errors: String,
}

/// Compiles all programs of the package in `dir` with their tests, and returns them by name. A
/// program that does not compile does not stop the others.
///
/// # Panics
///
/// Panics if cargo fails before it compiles the programs, such as at a dependency.
pub fn build(dir: &Path) -> HashMap<String, Built> {
    let mut cargo = Command::new(env!("CARGO"))
        .args(["build", "--tests", "--keep-going", "--message-format=json"])
        .arg("--target-dir")
        .arg(Path::new(ROOT).join("target"))
        .current_dir(dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = read(cargo.stderr.take().unwrap());
    let mut programs: HashMap<String, Built> = HashMap::new();
    for line in BufReader::new(cargo.stdout.take().unwrap()).lines() {
        let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let target = &message["target"];
        if target["kind"][0] != "bin" {
            continue;
        }
        let program = programs.entry(target["name"].as_str().unwrap().to_owned());
        let program = program.or_default();
        if let Some(executable) = message["executable"].as_str() {
            program.executable = Some(executable.into());
        }
        let error = &message["message"];
        if error["level"] == "error" {
            program
                .codes
                .extend(error["code"]["code"].as_str().map(str::to_owned));
            program.errors += error["rendered"].as_str().unwrap();
        }
    }
    cargo.wait().unwrap();
    let log = log.join().unwrap();
    assert!(!programs.is_empty(), "no program was compiled:\n{log}");
    programs
}

impl Built {
    /// Checks that all tests of the program pass in time.
    ///
    /// # Errors
    ///
    /// The reason why they do not.
    pub fn succeeds(&self) -> Result<(), String> {
        let (is_success, output) = self.run(LIMIT, 1)?;
        if is_success { Ok(()) } else { Err(output) }
    }

    /// Checks that the program fails as it should.
    ///
    /// # Errors
    ///
    /// The reason why it does not.
    pub fn fails_with(&self, failure: &Failure) -> Result<(), String> {
        match failure {
            Failure::Compiler(code) if self.codes.contains(code) => Ok(()),
            Failure::Compiler(code) => Err(format!("no error {code}:\n{}", self.errors)),
            Failure::NoCode(message) if self.errors.contains(&format!("error: {message}")) => {
                Ok(())
            }
            Failure::NoCode(message) => Err(format!("no error {message:?}:\n{}", self.errors)),
            Failure::Test(test, message) => {
                let fails = |slowness| {
                    let (_, output) = self.run(LONG_LIMIT, slowness)?;
                    let has_failed = output.contains(&format!("::{test} ... FAILED"));
                    if has_failed && output.contains(message) {
                        return Ok(());
                    }
                    Err(format!("{test} does not fail with {message:?}:\n{output}"))
                };
                // A future that spins keeps the machine busy. Then the time limit of an earlier
                // part of the test may be the first failure.
                fails(1).or_else(|_| fails(4))
            }
        }
    }

    /// Runs the tests, and returns whether all pass, with the output. Fails if they take longer
    /// than `limit`. The time limits in the tests are `slowness` times as long as usual.
    fn run(&self, limit: Duration, slowness: u32) -> Result<(bool, String), String> {
        let executable = self.executable.as_ref();
        let executable = executable.ok_or_else(|| format!("does not compile:\n{}", self.errors))?;
        let mut program = Command::new(executable)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("RUST_BACKTRACE", "0")
            .env("EXERCISE_SLOWNESS", slowness.to_string())
            .spawn()
            .unwrap();
        let output = [
            read(program.stdout.take().unwrap()),
            read(program.stderr.take().unwrap()),
        ];
        let is_success = wait(&mut program, limit).unwrap();
        let output = output.map(|output| output.join().unwrap()).concat();
        match is_success {
            Some(is_success) => Ok((is_success, output)),
            None => Err(format!("takes longer than {limit:?}:\n{output}")),
        }
    }
}

/// Waits until the program ends, and returns whether it succeeds. Kills it after `limit`.
fn wait(program: &mut Child, limit: Duration) -> io::Result<Option<bool>> {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = program.try_wait()? {
            return Ok(Some(status.success()));
        }
        thread::sleep(Duration::from_millis(10));
    }
    program.kill()?;
    program.wait()?;
    Ok(None)
}

/// Reads a stream to its end on a thread, so that the program never waits for a reader.
fn read(mut stream: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    })
}
