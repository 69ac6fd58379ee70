//! One file per kind of command. Each takes its arguments and prints; what goes wrong is a `Failure`.

mod ask;
mod check;
mod checkpoint;
mod demo;
mod doctor;
mod init;
mod list;
mod node;
mod offline;
mod plan;
mod ps;
mod reconcile;
mod send;
mod settings;
mod show;
mod steer;
mod test;
mod topics;
mod upgrade;
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
        Command::Check(check) => check::check(&check, &common),
        Command::Plan(plan) => plan::plan(&plan, &common),
        Command::Test(test) => test::test(&test, &common),
        Command::Apply(apply) => check::apply(&apply, &common, &client()?),
        Command::Send(send) => send::send(&send, &common, &client),
        Command::Start(start) => ask::start(&start, &common, &client()?),
        Command::Cancel(about) => ask::cancel(&about, &common, &client()?),
        Command::Retry(retry) => steer::retry(&retry, &common, &client()?),
        Command::Work(work) => steer::work(&work, &common, &client()?),
        Command::Decide(decide) => steer::decide(&decide, &common, &client()?),
        Command::Confirm(confirm) => steer::confirm(&confirm, &common, &client()?),
        Command::SkipStep(of) => steer::skip_step(&of, &common, &client()?),
        Command::SetFact(fact) => steer::set_fact(&fact, &common, &client()?),
        Command::Signal(signal) => steer::signal(&signal, &common, &client()?),
        Command::Hold(about) => steer::hold(&about, &common, &client()?),
        Command::Release(release) => steer::release(&release, &common, &client()?),
        Command::Assign(assign) => steer::assign(&assign, &common, &client()?),
        Command::Note(about) => steer::note(&about, &common, &client()?),
        Command::Pause(scope) => steer::pause(&scope, &common, &client()?),
        Command::Resume(scope) => steer::resume(&scope, &common, &client()?),
        Command::Bulk(bulk) => steer::bulk(&bulk, &common, &client()?),
        Command::Close(close) => ask::close(&close, &common, &client()?),
        Command::Ps(ps) => ps::ps(&ps, &common, &client()?),
        Command::Show(show) => show::show(&show, &common, &client()?),
        Command::Watch(watch) => watch::watch(&watch, &common, &client()?),
        Command::Gates => list::gates(&common, &client()?),
        Command::Parked(parked) => list::parked(&parked, &common, &client()?),
        Command::Doctor(configured) => doctor::doctor(&configured, &common),
        Command::Reconcile(reconcile) => reconcile::reconcile(&reconcile, &common, &client()?),
        Command::Rebuild(offline) => offline::rebuild(&offline, &common),
        Command::Verify(offline) => offline::verify(&offline, &common),
        Command::Checkpoint(what) => checkpoint::checkpoint(&what, &common, client),
        Command::Settings { what } => settings::settings(what.as_ref(), &common, &client()?),
        Command::Upgrade(upgrade) => upgrade::upgrade(&upgrade, &common, &client()?),
        Command::Skip(skip) => list::skip(&skip, &common, &client()?),
        Command::Contracts => list::contracts(&common, &client()?),
        Command::Definitions => list::definitions(&common, &client()?),
        Command::Version if common.json => print::json(&serde_json::json!({ "version": env!("CARGO_PKG_VERSION") })),
        Command::Version => print::line(format_args!("sagaline {}", env!("CARGO_PKG_VERSION"))),
    }
}
