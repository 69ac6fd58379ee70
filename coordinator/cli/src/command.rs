//! One file per kind of command. Each takes its arguments and prints; what goes wrong is a `Failure`.

mod ask;
mod check;
mod demo;
mod init;
mod list;
mod node;
mod offline;
mod ps;
mod send;
mod settings;
mod show;
mod topics;
mod watch;

use crate::args::{Cli, Command};
use crate::client::Client;
use crate::exit::Failure;
use crate::print;

/// Does what is asked.
///
/// # Errors
/// Why the program ends with another code than 0.
pub fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { common, command } = cli;
    let client = || Client::new(&common.api);
    match command {
        Command::Init(init) => init::init(&init, common.json),
        Command::Dev(dev) => node::dev(dev, &common),
        Command::Serve(serve) => node::serve(&serve, &common),
        Command::Demo(demo) => demo::demo(&demo, &common),
        Command::Topics(topics) => topics::topics(&topics.what, &common),
        Command::Check(files) => check::check(&files, &common),
        Command::Apply(files) => check::apply(&files, &common, &client()?),
        Command::Send(send) => send::send(&send, &common, &client),
        Command::Start(start) => ask::start(&start, &common, &client()?),
        Command::Cancel(about) => ask::cancel(&about, &common, &client()?),
        Command::Retry(about) => ask::retry(&about, &common, &client()?),
        Command::Close(close) => ask::close(&close, &common, &client()?),
        Command::Ps(ps) => ps::ps(&ps, &common, &client()?),
        Command::Show(show) => show::show(&show, &common, &client()?),
        Command::Watch(watch) => watch::watch(&watch, &common, &client()?),
        Command::Parked(parked) => list::parked(&parked, &common, &client()?),
        Command::Rebuild(offline) => offline::rebuild(&offline, &common),
        Command::Verify(offline) => offline::verify(&offline, &common),
        Command::Settings { what } => settings::settings(what.as_ref(), &common, &client()?),
        Command::Skip(skip) => list::skip(&skip, &common, &client()?),
        Command::Contracts => list::contracts(&common, &client()?),
        Command::Definitions => list::definitions(&common, &client()?),
        Command::Version if common.json => print::json(&serde_json::json!({ "version": env!("CARGO_PKG_VERSION") })),
        Command::Version => print::line(format_args!("sagaline {}", env!("CARGO_PKG_VERSION"))),
    }
}
