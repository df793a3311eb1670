//! The shape all tables of keys share: one row per key (whether it is hot, its name, type, default, and the names original
//! programs know it by), from which the settings, their reading and their reload come.

/// A surface's settings from its table.
macro_rules! table {
    (
        $(#[$about:meta])*
        $name:ident at $surface:literal, prefix $prefix:literal, origins $origins:expr;
        $($(#[$doc:meta])* $heat:ident $field:ident $(as $key:literal)?: $kind:ty = $default:expr, $originals:expr;)*
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            /// Where it is (SURFACES.md §2).
            pub mount: $crate::config::surfaces::Mount,
            $($(#[$doc])* pub $field: $kind,)*
        }

        impl $crate::config::surfaces::section::Table for $name {
            const SECTION: &'static str = concat!("surfaces.", $surface);

            /// Faults of a dialect that is switched off do not count.
            fn read_table(reader: &mut $crate::config::reader::Reader) -> Self {
                let faults = reader.fault_count();
                let read = Self {
                    mount: $crate::config::surfaces::Mount::read(reader, Self::SECTION, $prefix, &$origins),
                    $($field: reader.get_in(Self::SECTION, key!($field $($key)?), &$originals, $default),)*
                };
                if !read.mount.enabled {
                    reader.forgive_after(faults);
                }
                read
            }

            fn take_table(&mut self, read: &Self, hot: &mut $crate::config::reload::Hot<'_>) {
                $(take!($heat hot, Self::SECTION, key!($field $($key)?), self.$field, read.$field);)*
            }

            fn mount(&self) -> &$crate::config::surfaces::Mount {
                &self.mount
            }
        }
    };
}

/// A key is called as its field, unless it says otherwise.
macro_rules! key {
    ($field:ident $key:literal) => {
        $key
    };
    ($field:ident) => {
        stringify!($field)
    };
}

macro_rules! take {
    (hot $hot:ident, $section:expr, $key:expr, $running:expr, $read:expr) => {
        $hot.take(&format!("{}.{}", $section, $key), &mut $running, &$read)
    };
    (cold $hot:ident, $section:expr, $key:expr, $running:expr, $read:expr) => {};
}
