//! Where the values of a configuration stand in its text, for what turns out to be wrong with them only later: a file that cannot be
//! read, a name that nobody knows.

use super::problem::{Complaint, File, Problem, Severity};
use super::tree::{self, Place, Table, Value};

/// The texts of a configuration with everything that is written in them.
#[derive(Clone, Debug, Default)]
pub struct Places {
    files: Vec<File>,
    document: Table,
}

impl Places {
    pub(super) fn new(files: Vec<File>, document: Table) -> Self {
        Self { files, document }
    }

    /// All that is written.
    pub(super) fn document(&self) -> &Table {
        &self.document
    }

    /// A problem with the value at `path`, such as `["listener", "web", "bind", "0"]`, or with what is nearest above it when that is
    /// not written. One value in place of a list is its item 0. `None`: there is no text at all.
    pub fn problem(
        &self,
        severity: Severity,
        path: &[impl AsRef<str>],
        complaint: Complaint,
    ) -> Option<Problem> {
        let (place, key) = self.find(path);
        let file = self.files.get(place.file)?;
        Some(file.problem(severity, (place.start, place.end), &key, complaint))
    }

    fn find(&self, path: &[impl AsRef<str>]) -> (Place, String) {
        let mut place = Place::default();
        let mut key = String::new();
        let mut steps = path.iter().map(AsRef::as_ref);
        let first = steps.next().unwrap_or_default();
        let Some(entry) = self.document.iter().find(|entry| entry.key == first) else {
            return (place, key);
        };
        let mut node = &entry.node;
        place = entry.node.place;
        key.push_str(first);
        for step in steps {
            let next = match &node.value {
                Value::Table(table) => table.iter().find(|entry| entry.key == step).map(|entry| {
                    key = tree::join(&key, step);
                    &entry.node
                }),
                Value::Array(items) => {
                    // A step that is no number leads nowhere in a list: the place of the list is told.
                    let index = step.parse::<usize>().ok();
                    index.and_then(|index| items.get(index)).inspect(|_| {
                        key = format!("{key}[{step}]");
                    })
                }
                Value::String(_)
                | Value::Integer(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::Datetime
                | Value::Broken => None,
            };
            // A lone value stands for its list.
            if next.is_none() && step == "0" {
                continue;
            }
            let Some(next) = next else { break };
            node = next;
            place = node.place;
        }
        (place, key)
    }
}
