//! Makes a list of steps shorter as long as it fails. It does not know what the steps are.

/// So many runs are spent at most.
const RUNS_MAX: usize = 4000;

/// Zeller's ddmin, by complements: ever smaller chunks are left out. `fails` says why the steps
/// fail, if they do.
pub(crate) fn shrink<T: Clone>(
    steps: Vec<T>,
    why: String,
    mut fails: impl FnMut(&[T]) -> Option<String>,
) -> (Vec<T>, String) {
    let (mut steps, mut why) = (steps, why);
    let mut runs_left = RUNS_MAX;
    let mut chunk = steps.len().div_ceil(2);
    while chunk > 0 {
        let mut start = 0;
        let before = steps.len();
        while start < steps.len() && runs_left > 0 {
            runs_left -= 1;
            let end = (start + chunk).min(steps.len());
            let candidate = [&steps[..start], &steps[end..]].concat();
            match fails(&candidate) {
                Some(still) => (steps, why) = (candidate, still),
                None => start = end,
            }
        }
        // Something that could not go alone before may go now.
        let is_done = chunk == 1 && steps.len() == before;
        chunk = if is_done { 0 } else { chunk.div_ceil(2).max(1) };
        if runs_left == 0 {
            break;
        }
    }
    (steps, why)
}

#[test]
fn what_is_not_needed_goes() {
    let steps: Vec<u32> = (0..100).collect();
    let fails = |steps: &[u32]| {
        let is_there = |number| steps.contains(&number);
        (is_there(7) && is_there(63)).then(|| format!("{} steps", steps.len()))
    };
    let (small, why) = shrink(steps, "100 steps".to_owned(), fails);
    assert_eq!((small, why.as_str()), (vec![7, 63], "2 steps"));
}
