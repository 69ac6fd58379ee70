//! A participant to begin with: it books hotels. The SDK remembers each effect, so that a repeated command does nothing twice.
//! In your own crate it needs `sagaline-participant`, `serde`, `tokio` and `clap`; run it instead of `sagaline dev --mock hotels`.

use clap::Parser;
use sagaline_participant::cli::Options;
use sagaline_participant::{Effect, HandlerError, Idempotence, Known, Nothing, Participant, payload};

payload! {
    /// What is to be booked.
    pub struct Book {
        /// For whom.
        pub traveller: String,
        /// Where.
        pub city: String,
        /// How long.
        pub nights: i64,
    }

    /// What was booked.
    pub struct Booked {
        /// The hotel's own number.
        pub reservation: String,
    }
}

/// The effect's id is the key: whoever books under it twice gets the same reservation.
async fn book(wanted: Book, effect: Effect) -> Result<Booked, HandlerError> {
    if wanted.nights > 30 {
        return Err(HandlerError::refused("FullyBooked", format!("nothing is free in {} for so long", wanted.city)));
    }
    Ok(Booked { reservation: format!("R-{}", effect.id()) })
}

/// Closes the effect's id: a booking under it that is still under way must find it closed.
async fn cancel(wanted: Book, known: Known<Booked>, effect: Effect) -> Result<Nothing, HandlerError> {
    let _ = (wanted, known, effect);
    Ok(Nothing)
}

#[derive(Parser)]
#[command(name = "hotels", about = "Books hotels")]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hotels = Participant::new("hotels")
        .version("1.0.0")
        .owner("team-hotels")
        .on("book", Idempotence::ByKey, book)
        .refuses(&["FullyBooked"])
        .compensate("book", "cancel", cancel);
    Ok(hotels.main(&Arguments::parse().options, |config| config).await?)
}
