//! What is on the platter after a power cut: which of the changes that were not synced survived.
//!
//! A file survives sector by sector. Each dirty sector is in one of the states that it went through
//! since it was synced, whatever its neighbours are in, or torn between two of them; so is the
//! file's length. This file does not know how the changes came about.

use std::collections::BTreeMap;
use std::sync::Arc;

use raft_core::sim::rng::{MILLION, Rng};

use super::{Change, Content, Crash, State, put};

/// What a disk writes whole, if the power lasts.
pub(super) const SECTOR: usize = 512;
/// How likely a change survives: each crash draws one of these, so that nearly all and nearly
/// nothing are as common as one half.
const SURVIVAL_PPM: [u64; 4] = [50_000, 300_000, 700_000, 950_000];
/// How often a sector that could be torn is.
const TORN_PPM: u64 = 200_000;

/// What a crash leaves of this. All of it is durable then.
pub(super) fn after(state: &State, how: Crash) -> State {
    let mut image = state.clone();
    let mut rng = match how {
        Crash::AllLost | Crash::AllKept => Rng::new(0),
        Crash::Ordered(seed) | Crash::Scattered(seed) => Rng::new(seed),
    };
    let ppm = *rng.pick(&SURVIVAL_PPM).expect("not empty");
    let renames = std::mem::take(&mut image.renames);
    let first = rng.place(renames.len() + 1);
    for (at, rename) in renames.iter().enumerate() {
        let survives = match how {
            Crash::AllLost => false,
            Crash::AllKept => true,
            Crash::Ordered(_) => at < first,
            Crash::Scattered(_) => rng.chance(ppm),
        };
        if survives {
            rename.apply(&mut image.dirs, |names| &mut names.durable);
        }
    }
    for names in &mut image.dirs {
        names.now.clone_from(&names.durable);
    }
    for content in &mut image.files {
        let left = match how {
            Crash::AllLost => Arc::clone(&content.durable),
            Crash::AllKept => content.flushed(),
            Crash::Ordered(_) | Crash::Scattered(_) => landed(content, &mut rng),
        };
        *content = Content {
            now: Arc::clone(&left),
            durable: left,
            pending: Vec::new(),
        };
    }
    image
}

/// What reached the platter of a file of which anything may have.
pub(super) fn landed(content: &Content, rng: &mut Rng) -> Arc<Vec<u8>> {
    if content.pending.is_empty() {
        return Arc::clone(&content.durable);
    }
    let ppm = *rng.pick(&SURVIVAL_PPM).expect("not empty");
    let mut base = content.durable.to_vec();
    // The file as it was emptied for the last time that survived, and what was written until the
    // next time. So old and new content never mix.
    let mut writes = Vec::new();
    for change in &content.pending {
        match change {
            Change::Written { offset, bytes } => writes.push((*offset, &bytes[..])),
            Change::Emptied if rng.chance(ppm) => {
                base.clear();
                writes.clear();
            }
            Change::Emptied => break,
        }
    }
    let len = landed_len(base.len(), &writes, rng, ppm);
    for (at, versions) in versions(&base, &writes) {
        let sector = pick(&versions, rng, ppm);
        put(&mut base, at * SECTOR, &sector);
    }
    base.resize(len, 0);
    Arc::new(base)
}

/// One of the lengths that the file had.
fn landed_len(base: usize, writes: &[(usize, &[u8])], rng: &mut Rng, ppm: u64) -> usize {
    let mut lens = vec![base];
    for (offset, bytes) in writes {
        let end = offset + bytes.len();
        if end > lens[lens.len() - 1] {
            lens.push(end);
        }
    }
    let last = lens.len() - 1;
    lens[if rng.chance(ppm) {
        last
    } else {
        rng.place(last + 1)
    }]
}

/// All states that each dirty sector went through, oldest first.
fn versions(base: &[u8], writes: &[(usize, &[u8])]) -> BTreeMap<usize, Vec<Vec<u8>>> {
    let mut sectors: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
    for (offset, bytes) in writes {
        let end = offset + bytes.len();
        for at in offset / SECTOR..end.div_ceil(SECTOR) {
            let start = at * SECTOR;
            let versions = sectors.entry(at).or_insert_with(|| {
                let mut before = base.get(start..).unwrap_or_default().to_vec();
                before.resize(SECTOR, 0);
                vec![before]
            });
            let mut next = versions[versions.len() - 1].clone();
            let (from, to) = (start.max(*offset), end.min(start + SECTOR));
            next[from - start..to - start].copy_from_slice(&bytes[from - offset..to - offset]);
            versions.push(next);
        }
    }
    sectors
}

/// The state that survived, or two that are torn apart somewhere.
fn pick(versions: &[Vec<u8>], rng: &mut Rng, ppm: u64) -> Vec<u8> {
    let newest = versions.len() - 1;
    let chosen = if rng.chance(ppm) {
        newest
    } else {
        rng.place(newest + 1)
    };
    let mut sector = versions[chosen].clone();
    if chosen > 0 && rng.below(MILLION) < TORN_PPM {
        let cut = rng.place(SECTOR);
        sector[cut..].copy_from_slice(&versions[chosen - 1][cut..]);
    }
    sector
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use raft_log::disk::{Disk, Open};

    use super::*;
    use crate::crash_disk::{CrashDisk, Fault};

    /// A disk with a file `f` of 2000 synced ones.
    fn disk() -> CrashDisk {
        let disk = CrashDisk::default();
        let file = disk.open(Path::new("f"), Open::New).expect("made");
        file.write_at(&[1; 2000], 0).expect("written");
        file.sync().expect("synced");
        disk.sync_dir(Path::new("")).expect("synced");
        disk
    }

    fn content(disk: &CrashDisk) -> Vec<u8> {
        disk.content(Path::new("f"))
    }

    fn names(disk: &CrashDisk, dir: &str) -> String {
        let mut names = disk.list(Path::new(dir)).expect("alive");
        names.sort();
        names.join(" ")
    }

    #[test]
    fn what_is_synced_survives_any_crash() {
        let disk = disk();
        let file = disk.open(Path::new("f"), Open::Existing).expect("there");
        file.write_at(&[2; 700], 100).expect("written");
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            for how in [Crash::Ordered(seed), Crash::Scattered(seed)] {
                let left = content(&disk.crash(how));
                assert_eq!(
                    (left.len(), &left[..100], &left[800..]),
                    (2000, &[1; 100][..], &[1; 1200][..])
                );
                assert!(
                    left.iter().all(|byte| [1, 2].contains(byte)),
                    "nothing is invented"
                );
                seen.insert((left[100], left[511], left[512], left[799]));
            }
        }
        assert!(
            seen.len() >= 6,
            "each sector for itself, torn or not: {seen:?}"
        );
        assert_eq!(content(&disk.crash(Crash::AllLost)), [1; 2000]);
        assert_eq!(content(&disk.crash(Crash::AllKept)), content(&disk));
        file.sync().expect("synced");
        for seed in 0..50 {
            assert_eq!(content(&disk.crash(Crash::Scattered(seed))), content(&disk));
        }
    }

    #[test]
    fn a_length_survives_without_its_bytes_and_bytes_not_beyond_the_length() {
        let disk = disk();
        let file = disk.open(Path::new("f"), Open::Existing).expect("there");
        file.write_at(&[2; 1000], 3000).expect("written");
        file.write_at(&[3; 1000], 4000).expect("written");
        let (mut lens, mut zeros, mut kept) = (BTreeSet::new(), 0, 0);
        for seed in 0..200 {
            let left = content(&disk.crash(Crash::Ordered(seed)));
            lens.insert(left.len());
            let tail = left.get(3000..).unwrap_or_default();
            zeros += u32::from(!tail.is_empty() && tail.iter().all(|byte| *byte == 0));
            kept += u32::from(left == content(&disk));
        }
        assert_eq!(lens, BTreeSet::from([2000, 4000, 5000]));
        assert!(zeros > 0 && kept > 0, "{zeros} of zeros, {kept} whole");
    }

    #[test]
    fn an_emptied_file_is_old_or_new_but_no_mixture() {
        let disk = disk();
        let file = disk.open(Path::new("f"), Open::New).expect("emptied");
        file.write_at(&[2; 600], 0).expect("written");
        let mut old = 0;
        for seed in 0..200 {
            let left = content(&disk.crash(Crash::Scattered(seed)));
            old += u32::from(left == [1; 2000]);
            assert!(left == [1; 2000] || (left.len() <= 600 && !left.contains(&1)));
        }
        assert!((10..190).contains(&old), "{old} of 200 old");
    }

    #[test]
    fn names_need_a_sync_of_their_directory() {
        let disk = disk();
        let (sub, from, to) = (Path::new("d"), Path::new("d/tmp"), Path::new("d/name"));
        disk.create_dir(sub).expect("made");
        let file = disk.open(from, Open::New).expect("made");
        file.write_at(&[5; 10], 0).expect("written");
        file.sync().expect("synced");
        disk.rename(from, to).expect("renamed");
        disk.sync_dir(sub).expect("synced");
        assert_eq!(
            names(&disk.crash(Crash::AllLost), ""),
            "f",
            "the parent was not synced"
        );
        disk.sync_dir(Path::new("")).expect("synced");
        let left = disk.crash(Crash::AllLost);
        assert_eq!(
            (names(&left, ""), names(&left, "d")),
            ("d f".into(), "name".into())
        );
        assert_eq!(left.content(to), [5; 10]);
        disk.link(to, Path::new("g")).expect("linked");
        disk.remove(sub).expect("removed");
        let (mut ordered, mut scattered) = (BTreeSet::new(), BTreeSet::new());
        for seed in 0..100 {
            let left = disk.crash(Crash::Ordered(seed));
            ordered.insert((names(&left, ""), names(&left, "d")));
            scattered.insert(names(&disk.crash(Crash::Scattered(seed)), ""));
        }
        let stages = [
            ("d f", "name"),
            ("d f g", "name"),
            ("d f g", ""),
            ("f g", ""),
        ];
        let stages = stages.map(|(root, sub)| (root.to_owned(), sub.to_owned()));
        assert_eq!(ordered, BTreeSet::from(stages));
        assert!(scattered.contains("f"), "the later without the earlier");
    }

    #[test]
    fn a_failed_sync_is_not_made_up_for_by_the_next() {
        let mut lost = 0;
        for earlier in 0..20 {
            let disk = disk();
            let file = disk.open(Path::new("f"), Open::Existing).expect("there");
            for _ in 0..earlier {
                file.sync().expect("synced");
            }
            file.write_at(&[2; 2000], 0).expect("written");
            disk.inject(Fault::Broken(disk.operations()));
            file.sync().expect_err("broken");
            file.sync().expect("nothing is left to do");
            assert!(content(&disk) == [2; 2000], "readable all the same");
            lost += u32::from(content(&disk.crash(Crash::AllKept)) != [2; 2000]);
        }
        assert!(lost > 5, "lost in {lost} of 20");
    }

    #[test]
    fn the_killed_leave_the_unsynced_to_the_next() {
        let disk = disk();
        let file = disk.open(Path::new("f"), Open::Existing).expect("there");
        file.write_at(&[2; 2000], 0).expect("written");
        disk.inject(Fault::Dead(disk.operations()));
        file.write_at(&[3; 2000], 0).expect_err("dead");
        file.sync().expect_err("dead");
        file.size().expect_err("dead");
        let next = disk.moment().kill();
        assert_eq!(
            (content(&next), next.moment().unsynced()),
            (vec![2; 2000], 1)
        );
        assert_eq!(content(&next.crash(Crash::AllLost)), [1; 2000]);
    }

    #[test]
    fn a_full_disk_takes_a_part_and_says_so() {
        let disk = disk();
        let file = disk.open(Path::new("f"), Open::Existing).expect("there");
        disk.inject(Fault::Capacity(2100));
        file.write_at(&[2; 100], 2000).expect("fits");
        file.write_at(&[3; 100], 0).expect("is there already");
        let error = file.write_at(&[4; 200], 2050).expect_err("full");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        assert_eq!(content(&disk).len(), 2100);
        disk.heal();
        disk.inject(Fault::Full(disk.operations()));
        let error = disk.create_dir(Path::new("d")).expect_err("full");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
        file.sync().expect("needs no room");
    }

    #[test]
    fn every_moment_of_a_run_can_be_looked_at() {
        let disk = disk();
        disk.record();
        let file = disk.open(Path::new("f"), Open::Existing).expect("there");
        for byte in 2..5 {
            file.write_at(&[byte; 2000], 0).expect("written");
            file.sync().expect("synced");
        }
        let moments = disk.moments();
        let left = |moment: &super::super::Moment, how| content(&moment.crash(how))[0];
        let lost: Vec<u8> = moments
            .iter()
            .map(|moment| left(moment, Crash::AllLost))
            .collect();
        let kept: Vec<u8> = moments
            .iter()
            .map(|moment| left(moment, Crash::AllKept))
            .collect();
        assert_eq!(
            (lost, kept),
            (vec![1, 1, 2, 2, 3, 3, 4], vec![1, 2, 2, 3, 3, 4, 4])
        );
    }

    #[test]
    fn the_platter_can_be_damaged() {
        let disk = disk();
        disk.damage(Path::new("f"), |bytes| bytes[7] ^= 1)
            .expect("there");
        assert_eq!(content(&disk.crash(Crash::AllLost))[6..9], [1, 0, 1]);
        assert_eq!(disk.files(), [Path::new("f")]);
        disk.lose(Path::new("f")).expect("there");
        assert!(disk.files().is_empty() && content(&disk).is_empty());
        assert!(disk.damage(Path::new("f"), Vec::clear).is_err());
    }
}
