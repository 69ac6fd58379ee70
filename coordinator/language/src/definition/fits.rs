//! Whether a value of one type may stand where another is wanted, as far as it can be known before anything runs.

use sagaline_definition::types::Type;

/// Why it may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", prefix(.path))]
pub struct Misfit {
    /// The members on the way there.
    path: String,
    reason: String,
}

fn prefix(path: &str) -> String {
    if path.is_empty() { "this".to_owned() } else { format!("`{path}`") }
}

impl Misfit {
    fn new(reason: String) -> Self {
        Self { path: String::new(), reason }
    }

    fn inside(mut self, member: &str) -> Self {
        self.path = if self.path.is_empty() { member.to_owned() } else { format!("{member}.{}", self.path) };
        self
    }
}

/// Whether every value of `found` may stand where `wanted` is asked for. What is not known is let through.
pub fn fits(found: &Type, wanted: &Type) -> Result<(), Misfit> {
    match (found, wanted) {
        (Type::Any, _) | (_, Type::Any) | (Type::Null, Type::Nullable(_)) | (Type::Int, Type::Float) => Ok(()),
        (Type::Nullable(found), Type::Nullable(wanted)) => fits(found, wanted),
        (found, Type::Nullable(wanted)) => fits(found, wanted),
        (Type::Nullable(_), wanted) => Err(Misfit::new(format!(
            " may be null, and {} is wanted: test it with `!= null` or has()",
            describe(wanted)
        ))),
        (Type::List(found), Type::List(wanted)) => fits(found, wanted).map_err(|misfit| misfit.inside("[]")),
        (Type::Map(found), Type::Map(wanted)) => fits(found, wanted).map_err(|misfit| misfit.inside("*")),
        (Type::Record(_, members), Type::Map(wanted)) => {
            members.iter().try_for_each(|(name, found)| fits(found, wanted).map_err(|misfit| misfit.inside(name)))
        }
        (Type::Map(found), Type::Record(_, members)) => {
            members.iter().try_for_each(|(name, wanted)| fits(found, wanted).map_err(|misfit| misfit.inside(name)))
        }
        (Type::Record(_, found), Type::Record(_, wanted)) => wanted.iter().try_for_each(|(name, wanted)| {
            match (found.get(name), wanted) {
                (Some(found), wanted) => fits(found, wanted),
                (None, Type::Nullable(_) | Type::Any) => Ok(()),
                (None, _) => Err(Misfit::new(" is missing".to_owned())),
            }
            .map_err(|misfit| misfit.inside(name))
        }),
        (found, wanted) if found == wanted => Ok(()),
        (found, wanted) => Err(Misfit::new(format!(" is {}, and {} is wanted", describe(found), describe(wanted)))),
    }
}

/// A type as a message calls it.
pub fn describe(of: &Type) -> String {
    match of {
        Type::Any => "anything".to_owned(),
        Type::Null => "null".to_owned(),
        Type::Bool => "a bool".to_owned(),
        Type::Int => "a whole number".to_owned(),
        Type::Float => "a number".to_owned(),
        Type::String => "text".to_owned(),
        Type::List(_) => "a list".to_owned(),
        Type::Map(_) => "a map".to_owned(),
        Type::Record(name, _) => format!("a `{name}`"),
        Type::Nullable(inner) => format!("null or {}", describe(inner)),
    }
}
