//! Items with paths against the obvious thing: a tree whose nodes know their parents.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::super::item::Content;
use super::super::path::CHARS_MAX;
use super::*;

fn folder(id: u64, name: &str, path: &FolderPath) -> Item {
    Item { id, name: name.to_owned(), path: path.clone(), created_ms: 0, content: Content::Folder }
}

fn path(text: &str) -> FolderPath {
    FolderPath::parse(text).unwrap()
}

/// A tree: id to parent and name. 0 is the root.
#[derive(Debug, Clone, Default)]
struct Model(BTreeMap<u64, (u64, String)>);

impl Model {
    fn path_in(&self, id: u64) -> FolderPath {
        match self.0.get(&id) {
            Some((parent, name)) => self.path_in(*parent).child(name),
            None => FolderPath::default(),
        }
    }

    fn is_within(&self, id: u64, folder: u64) -> bool {
        id == folder || self.0.get(&id).is_some_and(|(parent, _)| self.is_within(*parent, folder))
    }

    fn has(&self, parent: u64, name: &str) -> bool {
        self.0.values().any(|(other, called)| *other == parent && called == name)
    }

    fn items(&self) -> Vec<Item> {
        self.0.iter().map(|(id, (parent, name))| folder(*id, name, &self.path_in(*parent))).collect()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Make { parent: usize, name: String },
    Move { what: usize, parent: usize, name: String },
    Delete { what: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let name = || prop::sample::select(vec!["a", "ab", "文", "a b", ".x"]).prop_map(str::to_owned);
    prop_oneof![
        4 => (any::<usize>(), name()).prop_map(|(parent, name)| Step::Make { parent, name }),
        2 => (any::<usize>(), any::<usize>(), name()).prop_map(|(what, parent, name)| Step::Move { what, parent, name }),
        1 => any::<usize>().prop_map(|what| Step::Delete { what }),
    ]
}

proptest! {
    #[test]
    fn paths_say_what_a_tree_says(steps in prop::collection::vec(step(), 0..60)) {
        let (mut model, mut items) = (Model::default(), Vec::<Item>::new());
        for (id, step) in (1..).zip(steps) {
            let ids: Vec<u64> = std::iter::once(0).chain(model.0.keys().copied()).collect();
            let pick = |number: usize| ids[number % ids.len()];
            match step {
                Step::Make { parent, name } => {
                    let parent = pick(parent);
                    if !model.has(parent, &name) {
                        items.push(folder(id, &name, &model.path_in(parent)));
                        model.0.insert(id, (parent, name));
                    }
                }
                Step::Move { what, parent, name } => {
                    let (what, parent) = (pick(what), pick(parent));
                    if what == 0 || model.has(parent, &name) {
                        continue;
                    }
                    let before = items.iter().find(|item| item.id == what).unwrap().clone();
                    let after = folder(what, &name, &model.path_in(parent));
                    let followed = follow(&before, &after, items.clone());
                    prop_assert_eq!(followed.is_err(), model.is_within(parent, what));
                    let Ok(followed) = followed else { continue };
                    for moved in followed.into_iter().chain([after]) {
                        let place = items.iter_mut().find(|item| item.id == moved.id).unwrap();
                        *place = moved;
                    }
                    model.0.insert(what, (parent, name));
                }
                Step::Delete { what } => {
                    let what = pick(what);
                    let Some(item) = items.iter().find(|item| item.id == what).cloned() else { continue };
                    let gone = with_all_below(&item, items.clone());
                    items.retain(|item| gone.iter().all(|gone| gone.id != item.id));
                    let whole = model.clone();
                    model.0.retain(|id, _| !whole.is_within(*id, what));
                }
            }
            items.sort_by_key(|item| item.id);
            prop_assert_eq!(&items, &model.items());
            for parent in std::iter::once(0).chain(model.0.keys().copied()) {
                let told: Vec<u64> = children(&model.path_in(parent), items.clone()).iter().map(|item| item.id).collect();
                let known = model.0.iter().filter(|(_, (of, _))| *of == parent).map(|(id, _)| *id);
                prop_assert_eq!(told, known.collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn a_folder_does_not_go_into_itself() {
    let before = folder(1, "a", &path("/"));
    for (to, outcome) in [
        ("/a", Err(Misplaced::IntoItself)),
        ("/a/b/c", Err(Misplaced::IntoItself)),
        ("/ab", Ok(Vec::new())),
        ("/", Ok(Vec::new())),
    ] {
        assert_eq!(follow(&before, &folder(1, "a", &path(to)), vec![before.clone()]), outcome, "{to}");
    }
}

#[test]
fn nothing_moves_where_it_would_not_fit() {
    let (before, long) = (folder(1, "a", &path("/")), "x".repeat(CHARS_MAX - 4));
    let below = folder(2, "c", &path("/a/"));
    let far = folder(1, "aaa", &path(&long[..CHARS_MAX - 5]));
    assert_eq!(follow(&before, &far, vec![before.clone(), below]), Err(Misplaced::TooLong));
    assert_eq!(follow(&before, &far, vec![before.clone()]), Ok(Vec::new()), "nothing is in it");
}

#[test]
fn a_client_that_moves_what_moved_already_changes_nothing() {
    let (before, after) = (folder(1, "a", &path("/")), folder(1, "b", &path("/")));
    let below = vec![folder(2, "c", &path("/a/")), folder(3, "d", &path("/a/c/"))];
    let moved = follow(&before, &after, below).unwrap();
    let again = Item { path: path("/b/"), ..moved[0].clone() };
    assert_eq!(follow(&moved[0], &again, moved.clone()), Ok(Vec::new()));
    assert_eq!(moved[1].path, path("/b/c/"));
}
