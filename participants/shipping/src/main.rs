//! Shipping: dispatches and cancellations. A demonstration of the SDK as a customer would use it; its own data are the ledger.

mod parcels;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::Parser;
use parcels::{Dispatch, Dispatched, ParcelStatus, Parcels};
use sagaline_participant::{Effect, EffectKey, HandlerError, Idempotence, Known, Nothing, Participant};
use sagaline_service::{Command, Faults};

#[derive(Parser)]
#[command(name = "sagaline-shipping", about = "Sends parcels and calls them back: a demonstration service")]
struct Arguments {
    #[command(flatten)]
    service: Command,
    /// Countries that no parcel is sent to
    #[arg(long, value_name = "COUNTRY", default_values_t = ["Atlantis".to_owned()])]
    undeliverable: Vec<String>,
}

fn participant(parcels: Parcels, faults: &Arc<Faults>) -> Participant {
    let parcels = Arc::new(Mutex::new(parcels));
    let (sending, cancelling, asked) = (Arc::clone(&parcels), Arc::clone(&parcels), parcels);
    let (around_dispatch, around_cancel) = (Arc::clone(faults), Arc::clone(faults));
    Participant::new("shipping")
        .version("1.0.0")
        .owner("team-shipping")
        .limits(100, 500)
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

fn lock(parcels: &Mutex<Parcels>) -> MutexGuard<'_, Parcels> {
    // A panic between two lines of the ledger leaves the parcels as the ledger has them.
    parcels.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let service = &arguments.service;
    let faults = Arc::new(Faults::new(service.switches.clone()));
    let parcels = Parcels::open(&arguments)?;
    Ok(service.run(participant(parcels, &faults), &faults).await?)
}
