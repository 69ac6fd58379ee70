//! What a coordinator says of its sagas, asked of its API.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::coordinator::get;
use crate::orders::Report;
use crate::stack::Stack;

impl Stack {
    /// How many sagas have ended, as the coordinator says.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn ended(&self, api: &str) -> Result<u64> {
        let counts = get(&format!("{api}/v1/sagas/counts"))?;
        let of = |status: &str| counts["by_status"][status].as_u64().unwrap_or(0);
        Ok(["completed", "compensated", "cancelled", "closed"].map(of).iter().sum())
    }

    /// How many sagas are under way, as a coordinator says.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn under_way_at(&self, api: &str) -> Result<u64> {
        let counts = get(&format!("{api}/v1/sagas/counts"))?;
        let known: u64 = counts["by_status"].as_object().into_iter().flatten().filter_map(|(_, of)| of.as_u64()).sum();
        Ok(known - self.ended(api)?)
    }

    /// What the coordinator says of every saga.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn reports(&self, api: &str) -> Result<Vec<Report>> {
        let (mut reports, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = get(&format!("{api}/v1/sagas?limit=500{cursor}"))?;
            for line in page["sagas"].as_array().into_iter().flatten() {
                let id = line["id"].as_str().context("a saga has an id")?;
                reports.push(report(&get(&format!("{api}/v1/sagas/{id}"))?)?);
            }
            match page["next"].as_str() {
                None => return Ok(reports),
                Some(next) => cursor = format!("&cursor={next}"),
            }
        }
    }
}

fn report(saga: &Value) -> Result<Report> {
    let text = |value: &Value| value.as_str().map(str::to_owned).context("a saga has a key and a status");
    let effects = saga["report"]["effects"].as_array().context("a saga has a report")?;
    let stands = effects.iter().filter(|effect| effect["stands"] != Value::Bool(false));
    let stands = stands.map(|effect| text(&effect["step"])).collect::<Result<_>>()?;
    Ok(Report { key: text(&saga["key"])?, status: text(&saga["status"])?, stands })
}
