//! The workers of one run: a thread of this process, or processes that were started for it, here or elsewhere.
//!
//! A worker process is this program with the argument `worker`, started by any command (`ssh client2 et-bench`): its
//! orders come in on standard input, what it sees goes out on standard output, a JSON line each. Nothing listens.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::{Context as _, Result};

use crate::target::Target;
use crate::work::{Plan, Said, work};
use crate::workload::Workload;

/// How workers are started.
#[derive(Debug, Clone)]
pub enum Launch {
    /// In this process.
    Here,
    /// A process for each of these commands; `worker` is added to each.
    Commands(Vec<Vec<String>>),
}

impl Launch {
    pub fn workers(&self) -> u32 {
        match self {
            Self::Here => 1,
            Self::Commands(commands) => commands.len() as u32,
        }
    }
}

/// Workers that were started; those that have not ended are killed on drop.
pub struct Fleet {
    pub said: Receiver<Said>,
    starters: Vec<Starter>,
    children: Vec<Child>,
}

enum Starter {
    Thread(Sender<()>),
    Process(ChildStdin),
}

impl Fleet {
    /// Starts the workers with their shares; each says when it is ready.
    pub fn start(launch: &Launch, target: &Target, workload: &Workload, threads: u32) -> Result<Self> {
        let workers = launch.workers();
        let plan = |worker| Plan {
            target: target.clone(),
            workload: workload.share(worker, workers),
            worker,
            workers,
            threads,
        };
        let (say, said) = channel();
        let mut fleet = Self { said, starters: Vec::new(), children: Vec::new() };
        match launch {
            Launch::Here => fleet.starters.push(Starter::Thread(in_thread(plan(0), say))),
            Launch::Commands(commands) => {
                for (command, worker) in commands.iter().zip(0..) {
                    fleet.start_process(command, &plan(worker), say.clone())?;
                }
            }
        }
        Ok(fleet)
    }

    fn start_process(&mut self, command: &[String], plan: &Plan, say: Sender<Said>) -> Result<()> {
        let (program, args) = command.split_first().context("the command of a worker is empty")?;
        let mut process = Command::new(program);
        process.args(args).arg("worker").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = process.spawn().with_context(|| format!("start the worker {}", command.join(" ")))?;
        let mut orders = child.stdin.take().expect("standard input is piped");
        let answers = child.stdout.take().expect("standard output is piped");
        self.children.push(child);
        writeln!(orders, "{}", serde_json::to_string(plan)?).context("give a worker its plan")?;
        self.starters.push(Starter::Process(orders));
        let name = command.join(" ");
        std::thread::spawn(move || {
            for line in BufReader::new(answers).lines().map_while(Result::ok) {
                let said = serde_json::from_str(&line);
                let said = said.unwrap_or_else(|error| Said::Failed(format!("worker {name} speaks no sense: {error}")));
                let last = matches!(said, Said::Ended(_) | Said::Failed(_));
                if say.send(said).is_err() || last {
                    return;
                }
            }
            let _ = say.send(Said::Failed(format!("worker {name} is gone")));
        });
        Ok(())
    }

    /// Lets all of them begin.
    pub fn go(&mut self) -> Result<()> {
        for starter in &mut self.starters {
            match starter {
                Starter::Thread(start) => start.send(()).context("the worker is gone")?,
                Starter::Process(orders) => writeln!(orders, "go").context("the worker is gone")?,
            }
        }
        Ok(())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.starters.clear();
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn in_thread(plan: Plan, say: Sender<Said>) -> Sender<()> {
    let (start, started) = channel();
    std::thread::spawn(move || {
        let speak = |said| {
            let _ = say.send(said);
        };
        let began = || started.recv().context("the coordinator is gone");
        if let Err(error) = work(plan, began, &speak) {
            speak(Said::Failed(format!("{error:#}")));
        }
    });
    start
}
