//! The arguments of the program.

use std::path::PathBuf;

use structopt::StructOpt;
use structopt::clap::{App, ArgMatches, Shell};

use crate::cli;
use crate::target::ServerOpt;
use crate::variants::Variant;

/// The commands, for errors.
pub const COMMANDS: &str = "get, set, rm, keys, dump, load, stats, completions";

/// The form of a help text that begins with examples.
macro_rules! examples {
    ($name:literal, $($example:literal)+) => {
        concat!($name, " ", env!("CARGO_PKG_VERSION"), "\n{about}\n\nEXAMPLES:\n", $("    ", $example, "\n",)+
            "\nUSAGE:\n    {usage}\n\n{all-args}")
    };
}

/// A client of kvs-server.
#[derive(Debug, StructOpt)]
#[structopt(
    name = "kvs-client",
    version = cli::version(),
    template = examples!(
        "kvs-client",
        "kvs-client set greeting hello"
        "kvs-client get greeting"
        "kvs-client set picture --file picture.svg"
        "kvs-client keys --prefix user:"
        "kvs-client dump > pairs.jsonl"
        "kvs-client load pairs.jsonl --addr db.example.com:4000 --auth-token-file token"
    )
)]
pub struct Opt {
    #[structopt(flatten)]
    pub server: ServerOpt,
    #[structopt(subcommand)]
    pub command: Option<CommandOpt>,
}

/// The same arguments. Those of the server may stand before the command and after it.
pub struct Args(pub Opt);

impl StructOpt for Args {
    fn clap<'a, 'b>() -> App<'a, 'b> {
        Opt::clap()
    }

    fn from_clap(matches: &ArgMatches<'_>) -> Args {
        Args(match matches.subcommand() {
            // clap does not know this command, or it stands after `--`. Then clap does not read its
            // arguments, even if the command exists.
            (name, Some(of_command)) if of_command.usage().is_empty() => Opt {
                server: ServerOpt::from_clap(matches),
                command: Some(CommandOpt::Unknown(vec![name.to_owned()])),
            },
            // clap passes the arguments of the server on to the command, and not back.
            (_, Some(of_command)) => Opt {
                server: ServerOpt::from_clap(of_command),
                ..Opt::from_clap(matches)
            },
            (_, None) => Opt::from_clap(matches),
        })
    }
}

// This is no doc comment, because structopt would replace the one of the program with it.
#[derive(Debug, StructOpt)]
pub enum CommandOpt {
    /// Prints the values of keys, or `Key not found`
    #[structopt(template = examples!(
        "kvs-client get",
        "kvs-client get greeting"
        "kvs-client get --raw picture > picture.svg"
        "kvs-client get --json greeting farewell"
        "kvs-client get --exit-code greeting || echo there is none"
    ))]
    Get {
        /// The keys
        #[structopt(value_name = "KEY", required = true)]
        keys: Vec<String>,
        /// Prints the value of one key and nothing else, not even the end of the line. Fails as
        /// with --exit-code if the key does not exist
        #[structopt(long, conflicts_with = "json")]
        raw: bool,
        /// Prints each value as a JSON string, or null if the key does not exist
        #[structopt(long)]
        json: bool,
        #[structopt(flatten)]
        missing: MissingOpt,
        #[structopt(flatten)]
        client: ClientOpt,
    },
    /// Stores a value under a key
    #[structopt(template = examples!(
        "kvs-client set",
        "kvs-client set greeting hello"
        "kvs-client set picture --file picture.svg"
        "date | kvs-client set now -"
    ))]
    Set {
        /// The key
        #[structopt(value_name = "KEY")]
        key: String,
        /// The value; `-` reads it from stdin, every byte of it
        #[structopt(
            value_name = "VALUE",
            required_unless = "file",
            conflicts_with = "file"
        )]
        value: Option<String>,
        /// Reads the value from a file
        #[structopt(long, value_name = "FILE", parse(from_os_str))]
        file: Option<PathBuf>,
        #[structopt(flatten)]
        client: ClientOpt,
    },
    /// Removes a key and its value; fails if the key does not exist
    #[structopt(template = examples!(
        "kvs-client rm",
        "kvs-client rm greeting"
        "kvs-client rm --exit-code greeting || test $? = 3"
    ))]
    Rm {
        /// The key
        #[structopt(value_name = "KEY")]
        key: String,
        #[structopt(flatten)]
        missing: MissingOpt,
        #[structopt(flatten)]
        client: ClientOpt,
    },
    /// Prints every key, one on a line
    #[structopt(template = examples!(
        "kvs-client keys",
        "kvs-client keys --prefix user: | wc -l"
        "kvs-client keys --json"
    ))]
    Keys {
        #[structopt(flatten)]
        prefix: PrefixOpt,
        /// Prints each key as a JSON string
        #[structopt(long)]
        json: bool,
    },
    /// Prints every pair as a JSON array `["key","value"]`, one on a line
    #[structopt(template = examples!(
        "kvs-client dump",
        "kvs-client dump > pairs.jsonl"
        "kvs-client dump --prefix user: | kvs-client load --addr db.example.com:4000"
        "kvs-client dump | jq -r '.[0]'"
    ))]
    Dump {
        #[structopt(flatten)]
        prefix: PrefixOpt,
    },
    /// Stores every pair of a dump
    #[structopt(template = examples!(
        "kvs-client load",
        "kvs-client load pairs.jsonl"
        "kvs-client load --from-line 5000 pairs.jsonl"
        "kvs-client dump | kvs-client load --addr db.example.com:4000"
    ))]
    Load {
        /// The file with the dump; `-` means stdin [default: stdin]
        #[structopt(value_name = "FILE")]
        file: Option<PathBuf>,
        /// Skips the lines before this one
        #[structopt(long, value_name = "N")]
        from_line: Option<u64>,
    },
    /// Prints the statistics of the server
    #[structopt(template = examples!(
        "kvs-client stats",
        "kvs-client stats"
        "kvs-client stats --json | jq .engine.keys"
        "kvs-client stats --prometheus > kvs.prom"
    ))]
    Stats {
        /// Prints JSON
        #[structopt(long, conflicts_with = "prometheus")]
        json: bool,
        /// Prints the text format of Prometheus
        #[structopt(long)]
        prometheus: bool,
    },
    /// Prints a script with which a shell completes the arguments of this program
    #[structopt(template = examples!(
        "kvs-client completions",
        "kvs-client completions bash > ~/.local/share/bash-completion/completions/kvs-client"
    ))]
    Completions {
        /// The shell
        #[structopt(value_name = "SHELL", possible_values = &Shell::variants())]
        shell: Shell,
    },
    #[structopt(external_subcommand)]
    Unknown(Vec<String>),
}

#[derive(Debug, StructOpt)]
pub struct MissingOpt {
    /// Exits with 3 if a key does not exist, and says so on stderr
    #[structopt(long)]
    pub exit_code: bool,
}

#[derive(Debug, StructOpt)]
pub struct PrefixOpt {
    /// Selects the keys that begin with this text
    #[structopt(long, value_name = "TEXT")]
    pub prefix: Option<String>,
}

#[derive(Debug, StructOpt)]
pub struct ClientOpt {
    /// The variant of the client [default: the first of anon, awaited, boxed, explicit, manual,
    /// pinned, blocking that is compiled in]
    #[structopt(long, value_name = "NAME")]
    pub variant: Option<Variant>,
}
