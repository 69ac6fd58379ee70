//! Payment: accounts, charges, refunds. A demonstration of the SDK as a customer would use it; its own data are the accounts and the ledger: a file, or
//! tables in PostgreSQL beside the effect store, and then charge and record are one transaction.

mod accounts;

use std::sync::{Arc, Mutex, PoisonError};

use accounts::{Accounts, Charge, Charged, Opening, Payment, PaymentStatus, WORDS, insufficient};
use clap::Parser;
use sagaline_participant::{Effect, EffectKey, HandlerError, Idempotence, Known, Nothing, Participant, Transaction};
use sagaline_service::{Acted, Command, Faults, Tables, Taken};

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

fn payment(version: &str) -> Participant {
    Participant::new("payment").version(version).owner("team-payments").limits(200, 500)
}

/// With accounts in the ledger file.
fn over_file(accounts: Accounts, faults: &Arc<Faults>) -> Participant {
    let accounts = Arc::new(Mutex::new(accounts));
    let (charging, refunding, asked) = (Arc::clone(&accounts), Arc::clone(&accounts), accounts);
    let (around_charge, around_refund) = (Arc::clone(faults), Arc::clone(faults));
    payment("1.0.0")
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

/// With accounts in tables. It promises more, so its contract has another version.
fn over_tables(opening: Opening, tables: Tables<Payment>, faults: &Arc<Faults>) -> Participant {
    let (opening, tables) = (Arc::new(opening), Arc::new(tables));
    let (charging, refunding, asked) = (Arc::clone(&tables), Arc::clone(&tables), tables);
    let (around_charge, around_refund) = (Arc::clone(faults), Arc::clone(faults));
    payment("1.1.0")
        .on_transaction("charge", move |charge: Charge, fx: Effect, mut transaction: Transaction| {
            let (opening, tables, faults) = (Arc::clone(&opening), Arc::clone(&charging), Arc::clone(&around_charge));
            async move {
                let work = async {
                    let act = tables.tried(&fx, &faults, charge.simulate.as_deref()).await?;
                    opening.check(&charge)?;
                    let has = opening.balance(&charge.account);
                    match tables.take(&mut transaction, &charge.account, charge.amount, has).await? {
                        Taken::All => {}
                        Taken::TooLittle { there } => return Err(insufficient(&charge, there)),
                    }
                    let payment = Payment::new(&fx, &charge);
                    tables.act(&mut transaction, &fx, &payment).await?;
                    let (reference, captured) = (payment.reference, payment.amount);
                    Ok(Acted { act, result: Charged { reference, captured } })
                };
                faults.around_task(&fx, charge.simulate.as_deref(), "InsufficientFunds", work).await
            }
        })
        .refuses(&["InsufficientFunds", "CardExpired"])
        .compensate_transaction("charge", "refund", move |charge: Charge, _: Known<Charged>, fx, mut transaction| {
            let (tables, faults) = (Arc::clone(&refunding), Arc::clone(&around_refund));
            async move {
                let work = async {
                    let act = tables.tried(&fx, &faults, charge.simulate.as_deref()).await?;
                    if let Some(payment) = tables.undo(&mut transaction, &fx).await? {
                        tables.give(&mut transaction, &payment.account, payment.amount).await?;
                    }
                    Ok(Acted { act, result: Nothing })
                };
                faults.around_task(&fx, charge.simulate.as_deref(), "", work).await
            }
        })
        .probe("charge", "status", move |key: EffectKey, _: Effect| {
            let tables = Arc::clone(&asked);
            async move { Ok(PaymentStatus::of(tables.standing(&key.effect_id).await?)) }
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
    let participant = match Tables::configured(service, "payment", WORDS)? {
        None => over_file(Accounts::open(&arguments)?, &faults),
        Some(tables) => {
            service.prepare(&tables).await?;
            over_tables(Opening::read(&arguments)?, tables, &faults)
        }
    };
    Ok(service.run(participant, &faults).await?)
}
