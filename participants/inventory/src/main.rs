//! Inventory: stock, reservations, releases. A demonstration of the SDK as a customer would use it; its own data are the stock and the ledger.

mod stock;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::Parser;
use sagaline_participant::{Effect, EffectKey, HandlerError, Idempotence, Known, Nothing, Participant};
use sagaline_service::{Command, Faults};
use stock::{Reserve, Reserved, Stock, StockStatus};

#[derive(Parser)]
#[command(name = "sagaline-inventory", about = "Reserves goods and releases them: a demonstration service")]
struct Arguments {
    #[command(flatten)]
    service: Command,
    /// A JSON file with quantities by article: {"lamp": 40}
    #[arg(long, value_name = "FILE")]
    stock: Option<std::path::PathBuf>,
    /// The quantity of an article that the file does not name
    #[arg(long, value_name = "QUANTITY", default_value_t = 1_000_000)]
    quantity: i64,
}

fn participant(stock: Stock, faults: &Arc<Faults>) -> Participant {
    let stock = Arc::new(Mutex::new(stock));
    let (reserving, releasing, asked) = (Arc::clone(&stock), Arc::clone(&stock), stock);
    let (around_reserve, around_release) = (Arc::clone(faults), Arc::clone(faults));
    Participant::new("inventory")
        .version("1.0.0")
        .owner("team-warehouse")
        .limits(200, 500)
        .on("reserve", Idempotence::ByKey, move |reserve: Reserve, fx: Effect| {
            let (stock, faults) = (Arc::clone(&reserving), Arc::clone(&around_reserve));
            async move {
                let (simulate, effect) = (reserve.simulate.clone(), fx.clone());
                let work = move || lock(&stock).reserve(&effect, &reserve);
                faults.around(&fx, simulate.as_deref(), "OutOfStock", work).await
            }
        })
        .refuses(&["OutOfStock"])
        .compensate("reserve", "release", move |reserve: Reserve, _: Known<Reserved>, fx: Effect| {
            let (stock, faults) = (Arc::clone(&releasing), Arc::clone(&around_release));
            async move {
                let (simulate, effect) = (reserve.simulate.clone(), fx.clone());
                let work = move || lock(&stock).release(&effect, &reserve);
                faults.around(&fx, simulate.as_deref(), "", work).await.map(|()| Nothing)
            }
        })
        .probe("reserve", "status", move |key: EffectKey, _: Effect| {
            let status: Result<StockStatus, HandlerError> = Ok(lock(&asked).status(&key.effect_id));
            async move { status }
        })
}

fn lock(stock: &Mutex<Stock>) -> MutexGuard<'_, Stock> {
    // A panic between two lines of the ledger leaves the stock as the ledger has it.
    stock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let service = &arguments.service;
    let faults = Arc::new(Faults::new(service.switches.clone()));
    let stock = Stock::open(&arguments)?;
    Ok(service.run(participant(stock, &faults), &faults).await?)
}
