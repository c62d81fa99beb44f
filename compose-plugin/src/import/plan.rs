//! What is done with what was found: which lines go, what takes their place, and what services are given instead.
//!
//! Pure: it reads texts and values that are at hand, and makes texts. It goes round until nothing is left to take out: an
//! entry that overrides another shows that one when it goes, and whoever shares a line gets the secret too.

mod check;
mod env_files;
mod give;
mod others;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use locket_crds::yaml::Node;

use super::dotenv;
use super::edit::Edits;
use super::find::{LABELS_STAY, reference};
use super::images::reads_file;
use super::model::{Model, Origin, Service, Value};
use super::names::Content;
use super::peer::Provider;
use super::places::{Place, Texts};
use super::reference::{Foreign, Tool};
use crate::error::{CommandError, Result};
use crate::generate::EditError;

/// A variable of a service.
pub type Variable = (String, String);

/// See [`Request::taken`].
pub type Taken<'a> = dyn Fn(&str, &Content) -> bool + 'a;

/// What is asked for.
pub struct Request<'a> {
    /// What compose makes of the project.
    pub model: &'a Model,
    /// Its files, as they are.
    pub texts: &'a Texts,
    /// Variables that are to be moved.
    pub variables: BTreeSet<Variable>,
    /// Services whose secrets of compose's are to be moved.
    pub secrets: BTreeSet<String>,
    /// Variables that stay, whatever happens.
    pub skip: BTreeSet<Variable>,
    /// Bytes of the files of compose's secrets.
    pub files: BTreeMap<PathBuf, Value>,
    /// Where the volume of a service is mounted, if x-locket says so already.
    pub paths: BTreeMap<String, String>,
    /// Whether a secret's name stands for something else already.
    pub taken: Box<Taken<'a>>,
    /// Provider services of the other locket that become gates.
    pub providers: BTreeMap<String, Provider>,
    /// The labels of DSO go.
    pub labels: bool,
    /// Sources that need not be defined any more.
    pub sources: BTreeSet<String>,
    /// The project directory: only files in it are removed.
    pub dir: PathBuf,
    /// The project's name.
    pub project: String,
    /// Where values go instead of the built-in store: a reference to the folder, and the field.
    pub vault: Option<(String, String)>,
}

/// The way it is done.
pub struct Plan {
    /// The files, as they shall be.
    pub texts: Texts,
    /// Names in the store, with their values.
    pub values: BTreeMap<String, Value>,
    /// Names in the catalogue that are only referred to.
    pub references: BTreeSet<String>,
    /// Names in the store whose value only DSO has, with its project and path.
    pub dso: BTreeMap<String, String>,
    /// Files that hold a value, and go at the very end.
    pub removes: Vec<PathBuf>,
    /// Variables that services have no more.
    pub moved: BTreeSet<Variable>,
    /// Variables that they have instead: service, name, value.
    pub added: BTreeSet<(String, String, String)>,
    /// Services that have no secrets of compose's any more.
    pub secrets: BTreeSet<String>,
    /// Services whose provider has lost the other locket's options.
    pub gates: BTreeSet<String>,
    /// The labels of DSO have gone.
    pub labels: bool,
    /// What people should know, one sentence each.
    pub notes: Vec<String>,
}

impl Request<'_> {
    /// The reference of another tool that a variable is.
    fn refers(&self, (service, name): &Variable) -> Option<Foreign> {
        reference(self.model.services.get(service)?, name)
    }
}

/// Most rounds; each takes at least one more entry.
const ROUNDS: usize = 64;

/// Shorter values are everywhere by chance.
const LEAST: usize = 6;

/// Decides.
///
/// # Errors
/// A file that is written in a way that only its author should touch, with its line.
pub fn plan(mut request: Request<'_>) -> Result<Plan> {
    let mut notes = BTreeSet::new();
    for _ in 0..ROUNDS {
        let mut work = Work::new(&request);
        match work.run()? {
            Round::Done => return work.finish(notes.into_iter().collect()),
            Round::More(more) => request.variables.extend(more),
            Round::Stays(all) => {
                for (variable, why) in all {
                    if request.labels
                        && request.refers(&variable).map(|it| it.tool()) == Some(Tool::Dso)
                    {
                        request.labels = false;
                        notes.insert(LABELS_STAY.to_owned());
                    }
                    notes.insert(format!("{} of {} stays: {why}", variable.1, variable.0));
                    request.variables.remove(&variable);
                    request.skip.insert(variable);
                }
            }
            Round::Keeps(services, why) => {
                for it in &services {
                    notes.insert(format!("compose's secrets of {it} stay: {why}"));
                }
                request.secrets.retain(|it| !services.contains(it));
            }
        }
    }
    Err(CommandError::internal(
        "the lines that share a secret have no end",
    ))
}

/// How one attempt has ended.
enum Round {
    Done,
    /// These share a line with what is moved.
    More(BTreeSet<Variable>),
    /// These cannot be moved.
    Stays(Vec<(Variable, String)>),
    /// The secrets of compose's of these services cannot be moved.
    Keeps(BTreeSet<String>, String),
}

struct Work<'a> {
    request: &'a Request<'a>,
    texts: Texts,
    /// What was taken out, before interpolation; of a bare name, a reference to it.
    taken_out: Vec<String>,
    /// Variables that become a file, by where they are written.
    files: BTreeMap<Variable, Place>,
    /// Secrets of compose's whose definition goes.
    undefined: BTreeSet<String>,
    notes: BTreeSet<String>,
}

impl<'a> Work<'a> {
    fn new(request: &'a Request<'a>) -> Self {
        Self {
            request,
            texts: request.texts.clone(),
            taken_out: Vec::new(),
            files: BTreeMap::new(),
            undefined: BTreeSet::new(),
            notes: BTreeSet::new(),
        }
    }

    fn run(&mut self) -> Result<Round> {
        let trees = self.texts.trees()?;
        if let Some(round) = self.several(&trees) {
            return Ok(round);
        }
        if let Some(round) = self.shared_secrets(&trees) {
            return Ok(round);
        }
        self.secrets(&trees)?;
        // Places are those of the text without these secrets.
        let trees = self.texts.trees()?;
        for variable in &self.request.variables {
            if let Some(place) = self.as_file(&trees, variable) {
                self.files.insert(variable.clone(), place);
            }
        }
        if let Some(round) = self.no_file() {
            return Ok(round);
        }
        for _ in 0..ROUNDS {
            let trees = self.texts.trees()?;
            let mut edits: BTreeMap<usize, Edits> = BTreeMap::new();
            let mut owners = BTreeSet::new();
            for (service, name) in &self.request.variables {
                let variable = (service.clone(), name.clone());
                if self.is_renamed(&variable) {
                    continue;
                }
                for place in self.texts.variable(&trees, service, name) {
                    owners.extend(self.owners(&trees, name, &place));
                    self.note(&place.written, name);
                    let own = edits.entry(place.text).or_default();
                    if self.files.get(&variable) == Some(&place) {
                        let new = (self.file_variable(&variable), self.file_path(service, name));
                        own.renamed.insert(place.at, new);
                        // The next round sees the new name, or the new value.
                        let place = Place {
                            at: usize::MAX,
                            ..place
                        };
                        self.files.insert(variable.clone(), place);
                    } else if place.item {
                        own.items.insert(place.at);
                    } else {
                        own.keys.insert(place.at);
                    }
                }
            }
            if let Some(round) = self.besides(owners) {
                return Ok(round);
            }
            if edits.is_empty() {
                break;
            }
            self.apply(edits)?;
        }
        self.others()?;
        if let Some(round) = self.env_files()? {
            return Ok(round);
        }
        Ok(self.interpolated()?.unwrap_or(Round::Done))
    }

    /// Variables with more than one value, of which only the last is in force: whoever leaves the other file out means the first.
    fn several(&self, trees: &[Node]) -> Option<Round> {
        let why = |(service, name): &Variable| {
            let mut values = BTreeMap::new();
            for place in self.texts.variable(trees, service, name) {
                if let Some(written) = &place.written {
                    values.insert(written.clone(), self.texts.shown(&place));
                }
            }
            let places: BTreeSet<String> = values.into_values().collect();
            let list = places.iter().cloned().collect::<Vec<_>>().join(" and ");
            (places.len() > 1).then(|| format!("{list} give it different values"))
        };
        let all = self.request.variables.iter();
        let found: Vec<_> = all.filter_map(|it| Some((it.clone(), why(it)?))).collect();
        (!found.is_empty()).then_some(Round::Stays(found))
    }

    /// What of these is not among what is moved.
    fn besides(&self, owners: BTreeSet<Variable>) -> Option<Round> {
        let more: BTreeSet<Variable> = &owners - &self.request.variables;
        if more.is_empty() {
            return None;
        }
        let skipped: Vec<&Variable> = more
            .iter()
            .filter(|it| self.request.skip.contains(it))
            .collect();
        let Some(first) = skipped.first() else {
            return Some(Round::More(more));
        };
        let why = format!(
            "it is written on a line that {} has too, where it stays",
            first.0
        );
        let all = self.request.variables.iter().filter(|it| it.1 == first.1);
        Some(Round::Stays(
            all.map(|it| (it.clone(), why.clone())).collect(),
        ))
    }

    /// The services that have this variable from this very place.
    fn owners(&self, trees: &[Node], name: &str, place: &Place) -> BTreeSet<Variable> {
        let all = self.request.model.services.iter();
        let has = |(service, it): &(&String, &Service)| {
            it.environment.get(name).is_some_and(|it| !it.is_empty())
                && self
                    .texts
                    .variable(trees, service, name)
                    .iter()
                    .any(|it| (it.text, it.at) == (place.text, place.at))
        };
        all.filter(has)
            .map(|(service, _)| (service.clone(), name.to_owned()))
            .collect()
    }

    fn note(&mut self, written: &Option<String>, name: &str) {
        self.taken_out
            .push(written.clone().unwrap_or_else(|| format!("${name}")));
    }

    fn apply(&mut self, edits: BTreeMap<usize, Edits>) -> Result<()> {
        for (text, edits) in edits {
            let it = &mut self.texts.compose[text];
            it.now = edits.apply(&it.now).map_err(|e| by_hand(&it.name, e))?;
        }
        Ok(())
    }

    /// Where a variable is written, if it can be a file there: its image reads one, nobody else has this place, and
    /// nothing in the container speaks of the variable itself.
    fn as_file(&self, trees: &[Node], variable: &Variable) -> Option<Place> {
        let (service, name) = variable;
        let it = &self.request.model.services[service];
        let refers = self.request.refers(variable);
        let path = matches!(refers, Some(Foreign::Dso { file: true, .. }));
        let new = format!("{name}_FILE");
        let places = self.texts.variable(trees, service, name);
        let [place] = places.as_slice() else {
            return None;
        };
        let in_env_file = self
            .texts
            .env
            .iter()
            .filter(|it| it.services.contains(service))
            .any(|it| {
                let all = dotenv::settings(&it.text.before, it.raw).unwrap_or_default();
                all.iter().any(|s| s.name == *name)
            });
        if path {
            return (!in_env_file).then(|| place.clone());
        }
        let fits = refers.is_none()
            && reads_file(&it.image, name)
            && !it.environment.contains_key(&new)
            && !it.speaks_of.contains(name)
            && !in_env_file
            && !self.stays_in_place(service)
            && self.owners(trees, name, place).len() == 1;
        fits.then(|| place.clone())
    }

    /// Where the file of a variable will be.
    fn file_path(&self, service: &str, variable: &str) -> String {
        format!(
            "{}/{}",
            self.path(service),
            self.file_target(service, variable)
        )
    }

    fn path(&self, service: &str) -> &str {
        let said = self.request.paths.get(service).map(String::as_str);
        said.unwrap_or(if self.stays_in_place(service) {
            "/run/locket"
        } else {
            "/run/secrets"
        })
    }

    /// Whether secrets of compose's stay where ours would be mounted.
    fn stays_in_place(&self, service: &str) -> bool {
        let has = !self.request.model.services[service].secrets.is_empty();
        has && !self.request.secrets.contains(service)
    }

    /// A list of secrets that services share goes for all of them, or for none.
    fn shared_secrets(&self, trees: &[Node]) -> Option<Round> {
        let places = |service: &String| -> BTreeSet<Place> {
            self.texts
                .grants(trees, service)
                .into_iter()
                .map(|(_, it)| it)
                .collect()
        };
        let others = self
            .request
            .model
            .services
            .keys()
            .filter(|it| !self.request.secrets.contains(*it));
        let kept: BTreeSet<Place> = others.flat_map(places).collect();
        let shares = |it: &&String| !places(it).is_disjoint(&kept);
        let services: BTreeSet<String> = self
            .request
            .secrets
            .iter()
            .filter(shares)
            .cloned()
            .collect();
        let why = "another service has them from the same lines, and keeps them".to_owned();
        (!services.is_empty()).then_some(Round::Keeps(services, why))
    }

    /// Takes compose's secrets of services out, and the definitions that nobody uses any more.
    fn secrets(&mut self, trees: &[Node]) -> Result<()> {
        let mut edits: BTreeMap<usize, Edits> = BTreeMap::new();
        for service in &self.request.secrets {
            for (_, place) in self.texts.grants(trees, service) {
                edits.entry(place.text).or_default().items.insert(place.at);
            }
        }
        for (name, origin) in &self.request.model.secrets {
            let services = self.request.model.services.iter();
            let uses = |it: &Service| it.secrets.iter().any(|s| s.source == *name);
            let users: Vec<_> = services.clone().filter(|(_, it)| uses(it)).collect();
            if !users
                .iter()
                .any(|(service, _)| self.request.secrets.contains(*service))
            {
                continue;
            }
            let still = users
                .iter()
                .find(|(service, _)| !self.request.secrets.contains(*service));
            let builds = services
                .clone()
                .find(|(_, it)| it.build_secrets.contains(name));
            if let Some((service, _)) = still.or(builds.as_ref()) {
                self.notes.insert(format!(
                    "the secret {name} stays for {service}, and so does what it is read from"
                ));
                continue;
            }
            for place in self.texts.secret(trees, name) {
                edits.entry(place.text).or_default().keys.insert(place.at);
            }
            if let Origin::Variable(variable) = origin {
                self.taken_out.push(format!("${variable}"));
            }
            self.undefined.insert(name.clone());
        }
        self.apply(edits)
    }
}

/// An edit that was refused, with the line.
fn by_hand(name: &str, e: EditError) -> CommandError {
    let place = match &e {
        EditError::Unusual { line } => format!("{name}:{line}"),
        _ => name.to_owned(),
    };
    CommandError::user(format!("{place} cannot be edited"))
        .because(e)
        .hint("write that entry on lines of its own, or leave it out with `--skip SERVICE.VARIABLE`; nothing was written")
}
