//! Shipping: dispatches and cancellations. A demonstration of the SDK as a customer would use it; its own data are
//! the ledger: a file, or a table in PostgreSQL beside the effect store, and then dispatch and record are one transaction.

mod parcels;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::Parser;
use parcels::{Dispatch, Dispatched, Parcel, ParcelStatus, Parcels, Undeliverable, WORDS};
use sagaline_participant::{Effect, EffectKey, HandlerError, Idempotence, Known, Nothing, Participant, Transaction};
use sagaline_service::{Acted, Command, Faults, Tables};

#[derive(Parser)]
#[command(name = "sagaline-shipping", about = "Sends parcels and calls them back: a demonstration service")]
struct Arguments {
    #[command(flatten)]
    service: Command,
    /// Countries that no parcel is sent to
    #[arg(long, value_name = "COUNTRY", default_values_t = ["Atlantis".to_owned()])]
    undeliverable: Vec<String>,
}

fn shipping(version: &str) -> Participant {
    Participant::new("shipping").version(version).owner("team-shipping").limits(100, 500)
}

/// With parcels in the ledger file.
fn over_file(parcels: Parcels, faults: &Arc<Faults>) -> Participant {
    let parcels = Arc::new(Mutex::new(parcels));
    let (sending, cancelling, asked) = (Arc::clone(&parcels), Arc::clone(&parcels), parcels);
    let (around_dispatch, around_cancel) = (Arc::clone(faults), Arc::clone(faults));
    shipping("1.0.0")
        .on("dispatch", Idempotence::ByKey, move |dispatch: Dispatch, fx: Effect| {
            let (parcels, faults) = (Arc::clone(&sending), Arc::clone(&around_dispatch));
            async move {
                let (simulate, effect) = (dispatch.simulate.clone(), fx.clone());
                let work = move || lock(&parcels).dispatch(&effect, &dispatch);
                faults.around(&fx, simulate.as_deref(), "UndeliverableAddress", work).await
            }
        })
        .refuses_for_good(&["UndeliverableAddress"])
        .compensate("dispatch", "cancel", move |dispatch: Dispatch, _: Known<Dispatched>, fx: Effect| {
            let (parcels, faults) = (Arc::clone(&cancelling), Arc::clone(&around_cancel));
            async move {
                let (simulate, effect) = (dispatch.simulate.clone(), fx.clone());
                let work = move || lock(&parcels).cancel(&effect, &dispatch);
                faults.around(&fx, simulate.as_deref(), "", work).await.map(|()| Nothing)
            }
        })
        .probe("dispatch", "status", move |key: EffectKey, _: Effect| {
            let status: Result<ParcelStatus, HandlerError> = Ok(lock(&asked).status(&key.effect_id));
            async move { status }
        })
}

/// With parcels in a table. It promises more, so its contract has another version.
fn over_tables(undeliverable: Undeliverable, tables: Tables<Parcel>, faults: &Arc<Faults>) -> Participant {
    let (undeliverable, tables) = (Arc::new(undeliverable), Arc::new(tables));
    let (sending, cancelling, asked) = (Arc::clone(&tables), Arc::clone(&tables), tables);
    let (around_dispatch, around_cancel) = (Arc::clone(faults), Arc::clone(faults));
    shipping("1.1.0")
        .on_transaction("dispatch", move |dispatch: Dispatch, fx: Effect, mut transaction: Transaction| {
            let (tables, faults) = (Arc::clone(&sending), Arc::clone(&around_dispatch));
            let undeliverable = Arc::clone(&undeliverable);
            async move {
                let work = async {
                    let act = tables.tried(&fx, &faults, dispatch.simulate.as_deref()).await?;
                    undeliverable.check(&dispatch)?;
                    let parcel = Parcel::new(&fx, &dispatch);
                    tables.act(&mut transaction, &fx, &parcel).await?;
                    Ok(Acted { act, result: Dispatched { tracking: parcel.tracking } })
                };
                faults.around_task(&fx, dispatch.simulate.as_deref(), "UndeliverableAddress", work).await
            }
        })
        .refuses(&["UndeliverableAddress"])
        .compensate_transaction(
            "dispatch",
            "cancel",
            move |dispatch: Dispatch, _: Known<Dispatched>, fx, mut transaction| {
                let (tables, faults) = (Arc::clone(&cancelling), Arc::clone(&around_cancel));
                async move {
                    let work = async {
                        let act = tables.tried(&fx, &faults, dispatch.simulate.as_deref()).await?;
                        // Whether there was a parcel to be called back makes no difference to the answer.
                        let _called_back: Option<Parcel> = tables.undo(&mut transaction, &fx).await?;
                        Ok(Acted { act, result: Nothing })
                    };
                    faults.around_task(&fx, dispatch.simulate.as_deref(), "", work).await
                }
            },
        )
        .probe("dispatch", "status", move |key: EffectKey, _: Effect| {
            let tables = Arc::clone(&asked);
            async move { Ok(ParcelStatus::of(tables.standing(&key.effect_id).await?)) }
        })
}

fn lock(parcels: &Mutex<Parcels>) -> MutexGuard<'_, Parcels> {
    // A panic between two lines of the ledger leaves the parcels as the ledger has them.
    parcels.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let service = &arguments.service;
    let faults = Arc::new(Faults::new(service.switches.clone()));
    let participant = match Tables::configured(service, "shipping", WORDS)? {
        None => over_file(Parcels::open(&arguments)?, &faults),
        Some(tables) => {
            service.prepare(&tables).await?;
            over_tables(Undeliverable::read(&arguments), tables, &faults)
        }
    };
    Ok(service.run(participant, &faults).await?)
}
