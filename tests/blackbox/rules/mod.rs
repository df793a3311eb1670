//! Every rule of easytransfer/CONTRACT.md §1–§7, §9 and §10: [`table`] says which tests show it; what no other suite
//! covers is tested here.

mod bodies;
mod settings;
mod table;
