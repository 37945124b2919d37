use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use kernel::{Id, Org};
use uuid::Uuid;

use super::ZONES;
use crate::{
    Budget, Grant, Unit, book::Rows, counters::Counters, decision::Books, picture::Picture,
};

/// The database, as far as `book` goes.
#[derive(Default)]
pub(super) struct Database {
    pub(super) versions: HashMap<Uuid, i64>,
    pub(super) budgets: Vec<Budget>,
    pub(super) grants: Vec<(Id<Org>, Grant)>,
    pub(super) holds: HashSet<Uuid>,
}

impl Database {
    pub(super) fn read(&self, books: &mut Books, orgs: &[Id<Org>], now: DateTime<Utc>) {
        let picture = |org: Option<Id<Org>>, zone: Tz| {
            let id = org.map_or(Uuid::nil(), Id::uuid);
            let version = self.versions.get(&id).copied().unwrap_or_default();
            let budgets = self.budgets.iter().filter(|it| it.org == org).cloned().collect();
            let live = |(whose, it): &&(Id<Org>, Grant)| {
                Some(*whose) == org && it.expires_at.is_none_or(|end| end > now)
            };
            let mut grants: Vec<Grant> =
                self.grants.iter().filter(live).map(|(_, it)| it.clone()).collect();
            let never = DateTime::<Utc>::MAX_UTC;
            grants.sort_by_key(|it| (it.expires_at.unwrap_or(never), it.id));
            Picture { version, zone, budgets, grants }
        };
        books.platform = Some(picture(None, Tz::UTC));
        for (org, zone) in orgs.iter().zip(ZONES) {
            books.orgs.insert(*org, picture(Some(*org), zone));
        }
    }

    /// All or nothing, as in migration 9.
    pub(super) fn book(&mut self, rows: &Rows) -> Result<HashMap<Uuid, (i64, i64)>, Uuid> {
        for it in &rows.versions {
            if self.versions.get(&it.id).copied().unwrap_or_default() != it.version {
                return Err(it.id);
            }
        }
        if let Some(it) = rows.ended.iter().find(|it| !self.holds.contains(&it.id)) {
            return Err(it.id);
        }
        let (mut budgets, mut grants) = (self.budgets.clone(), self.grants.clone());
        let mut shown = HashMap::new();
        for it in rows.budgets.iter().chain(&rows.platform) {
            let Some(row) = budgets.iter_mut().find(|row| row.id.uuid() == it.id) else { continue };
            let kept = row.shown == it.starts;
            let (spent, held) = if kept { (row.counters.spent, row.counters.held) } else { (0, 0) };
            match it.version {
                None if row.shown != it.began => continue,
                Some(version) => {
                    let bounds = it.least..=it.most;
                    let true_to = row.version == version && row.shown == it.began;
                    if !true_to || !bounds.contains(&(spent + held)) {
                        return Err(it.id);
                    }
                }
                None => {}
            }
            if row.unit == Unit::Unknowns && row.counters.spent != spent + it.spent {
                let id = row.org.map_or(Uuid::nil(), Id::uuid);
                *self.versions.entry(id).or_default() += 1;
            }
            row.counters = Counters::new(spent + it.spent, held + it.held);
            (row.shown, row.starts) = (it.starts, it.starts);
            shown.insert(it.id, (row.counters.spent, row.counters.held));
        }
        for it in &rows.grants {
            let Some((_, row)) = grants.iter_mut().find(|(_, row)| row.id.uuid() == it.id) else {
                continue;
            };
            let used = row.counters.spent + row.counters.held;
            let true_to = it.revoked.is_none_or(|revoked| revoked == row.revoked);
            if !true_to || !(it.least..=it.most).contains(&used) {
                return Err(it.id);
            }
            row.counters =
                Counters::new(row.counters.spent + it.spent, row.counters.held + it.held);
            shown.insert(it.id, (row.counters.spent, row.counters.held));
        }
        (self.budgets, self.grants) = (budgets, grants);
        self.holds.retain(|id| rows.ended.iter().all(|it| it.id != *id));
        self.holds.extend(rows.holds.iter().map(|it| it.id));
        Ok(shown)
    }
}
