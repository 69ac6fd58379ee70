//! Inventory: stock, reservations, releases. A demonstration of the SDK as a customer would use it; its own data are the stock and
//! the ledger: a file, or tables in PostgreSQL beside the effect store, and then reservation and record are one transaction.

mod stock;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::Parser;
use sagaline_participant::{Effect, EffectKey, HandlerError, Idempotence, Known, Nothing, Participant, Transaction};
use sagaline_service::{Acted, Command, Faults, Tables, Taken};
use stock::{Opening, Reservation, Reserve, Reserved, Stock, StockStatus, WORDS, out_of_stock};

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

fn inventory(version: &str) -> Participant {
    Participant::new("inventory").version(version).owner("team-warehouse").limits(200, 500)
}

/// With the stock in the ledger file.
fn over_file(stock: Stock, faults: &Arc<Faults>) -> Participant {
    let stock = Arc::new(Mutex::new(stock));
    let (reserving, releasing, asked) = (Arc::clone(&stock), Arc::clone(&stock), stock);
    let (around_reserve, around_release) = (Arc::clone(faults), Arc::clone(faults));
    inventory("1.0.0")
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

/// With the stock in tables. It promises more, so its contract has another version.
fn over_tables(opening: Opening, tables: Tables<Reservation>, faults: &Arc<Faults>) -> Participant {
    let (opening, tables) = (Arc::new(opening), Arc::new(tables));
    let (reserving, releasing, asked) = (Arc::clone(&tables), Arc::clone(&tables), tables);
    let (around_reserve, around_release) = (Arc::clone(faults), Arc::clone(faults));
    inventory("1.1.0")
        .on_transaction("reserve", move |reserve: Reserve, fx: Effect, mut transaction: Transaction| {
            let (opening, tables, faults) = (Arc::clone(&opening), Arc::clone(&reserving), Arc::clone(&around_reserve));
            async move {
                let work = async {
                    let act = tables.tried(&fx, &faults, reserve.simulate.as_deref()).await?;
                    let has = opening.quantity(&reserve.sku);
                    match tables.take(&mut transaction, &reserve.sku, reserve.quantity, has).await? {
                        Taken::All => {}
                        Taken::TooLittle { there } => return Err(out_of_stock(&reserve, there)),
                    }
                    let line = Reservation::new(&fx, &reserve);
                    tables.act(&mut transaction, &fx, &line).await?;
                    Ok(Acted { act, result: Reserved { reservation: line.reservation } })
                };
                faults.around_task(&fx, reserve.simulate.as_deref(), "OutOfStock", work).await
            }
        })
        .refuses(&["OutOfStock"])
        .compensate_transaction(
            "reserve",
            "release",
            move |reserve: Reserve, _: Known<Reserved>, fx, mut transaction| {
                let (tables, faults) = (Arc::clone(&releasing), Arc::clone(&around_release));
                async move {
                    let work = async {
                        let act = tables.tried(&fx, &faults, reserve.simulate.as_deref()).await?;
                        if let Some(line) = tables.undo(&mut transaction, &fx).await? {
                            tables.give(&mut transaction, &line.sku, line.quantity).await?;
                        }
                        Ok(Acted { act, result: Nothing })
                    };
                    faults.around_task(&fx, reserve.simulate.as_deref(), "", work).await
                }
            },
        )
        .probe("reserve", "status", move |key: EffectKey, _: Effect| {
            let tables = Arc::clone(&asked);
            async move { Ok(StockStatus::of(tables.standing(&key.effect_id).await?)) }
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
    let participant = match Tables::configured(service, "inventory", WORDS)? {
        None => over_file(Stock::open(&arguments)?, &faults),
        Some(tables) => {
            service.prepare(&tables).await?;
            over_tables(Opening::read(&arguments)?, tables, &faults)
        }
    };
    Ok(service.run(participant, &faults).await?)
}
