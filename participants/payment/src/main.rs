//! Payment: accounts, charges, refunds. A demonstration of the SDK as a customer would use it; its own data are the accounts and the ledger.

mod accounts;

use std::sync::{Arc, Mutex, PoisonError};

use accounts::{Accounts, Charge, Charged, PaymentStatus};
use clap::Parser;
use sagaline_participant::{Effect, EffectKey, HandlerError, Idempotence, Known, Nothing, Participant};
use sagaline_service::{Command, Faults};

#[derive(Parser)]
#[command(name = "sagaline-payment", about = "Charges accounts and refunds them: a demonstration service")]
struct Arguments {
    #[command(flatten)]
    service: Command,
    /// A JSON file with balances by account: {"alice": 5000}
    #[arg(long, value_name = "FILE")]
    accounts: Option<std::path::PathBuf>,
    /// The balance of an account that the file does not name
    #[arg(long, value_name = "AMOUNT", default_value_t = 1_000_000)]
    balance: i64,
    /// Accounts whose card has expired
    #[arg(long, value_name = "ACCOUNT")]
    expired: Vec<String>,
}

fn participant(accounts: Accounts, faults: &Arc<Faults>) -> Participant {
    let accounts = Arc::new(Mutex::new(accounts));
    let (charging, refunding, asked) = (Arc::clone(&accounts), Arc::clone(&accounts), accounts);
    let (around_charge, around_refund) = (Arc::clone(faults), Arc::clone(faults));
    Participant::new("payment")
        .version("1.0.0")
        .owner("team-payments")
        .limits(200, 500)
        .on("charge", Idempotence::ByKey, move |charge: Charge, fx: Effect| {
            let (accounts, faults) = (Arc::clone(&charging), Arc::clone(&around_charge));
            async move {
                let (simulate, effect) = (charge.simulate.clone(), fx.clone());
                let work = move || lock(&accounts).charge(&effect, &charge);
                faults.around(&fx, simulate.as_deref(), "InsufficientFunds", work).await
            }
        })
        .refuses(&["InsufficientFunds", "CardExpired"])
        .compensate("charge", "refund", move |charge: Charge, _: Known<Charged>, fx: Effect| {
            let (accounts, faults) = (Arc::clone(&refunding), Arc::clone(&around_refund));
            async move {
                let (simulate, effect) = (charge.simulate.clone(), fx.clone());
                let work = move || lock(&accounts).refund(&effect, &charge);
                faults.around(&fx, simulate.as_deref(), "", work).await.map(|()| Nothing)
            }
        })
        .probe("charge", "status", move |key: EffectKey, _: Effect| {
            let status: Result<PaymentStatus, HandlerError> = Ok(lock(&asked).status(&key.effect_id));
            async move { status }
        })
}

fn lock(accounts: &Mutex<Accounts>) -> std::sync::MutexGuard<'_, Accounts> {
    // A panic between two lines of the ledger leaves the accounts as the ledger has them.
    accounts.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let service = &arguments.service;
    let faults = Arc::new(Faults::new(service.switches.clone()));
    let accounts = Accounts::open(&arguments)?;
    Ok(service.run(participant(accounts, &faults), &faults).await?)
}
