//! `plan`: which roles would take a request. Nothing is sent.

use polysight::{Role, compare_plans};

use crate::args::{Global, Plan};
use crate::config_source::ConfigSource;
use crate::outcome::{Outcome, Run};
use crate::{output, request};

/// Prints the table of roles.
pub(crate) async fn run(global: &Global, plan: &Plan) -> Run {
    let source = ConfigSource::find(global).await?;
    let polysight = source.load()?;
    let names = match plan.question.roles.as_slice() {
        [] => polysight.role_names().map(str::to_owned).collect(),
        _ => request::role_names(&plan.question, &polysight)?,
    };
    let request = request::of(&plan.question, &polysight).await?;
    let made = names.iter().map(|name| (name, request::role(&polysight, name, plan.question.fit)));
    let (mut roles, mut failed): (Vec<Role>, usize) = (Vec::new(), 0);
    for (name, role) in made {
        match role {
            Ok(role) => roles.push(role),
            Err(error) => {
                // A role without its key does not hide the others.
                output::errors(Some(name), &error);
                failed += 1;
            }
        }
    }
    let table = compare_plans(&request, roles.iter().map(|role| (role.name(), role)));
    if !roles.is_empty() {
        output::lines(&table.to_string())?;
    }
    if let Some(name) = table.cheapest() {
        output::aside(format_args!("cheapest prompt, of those whose cost is known: {name}"));
    }
    let refused = table.candidates().iter().filter_map(|candidate| candidate.outcome.as_ref().err());
    if !plan.question.fit {
        refused.clone().for_each(output::hint_at_fit);
    }
    Ok(Outcome::of(failed + refused.count(), names.len()))
}
