//! A soak test of two processes. Each runs the demo and a service that fetches keys.
//!
//! Clients send good, bad and hostile requests while Redis, the database and the provider go down and recover. The test
//! takes `SOAK_SECONDS`, by default 600.
//!
//! Every response must be an allowed one for its request. Processes must not leak. The clients leave after a fifth of
//! the time and at the end. The test compares the resources that the processes use at these two times.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod attackers;
#[path = "../demo/credential.rs"]
mod credential;
mod customers;
#[path = "../demo/http.rs"]
#[expect(dead_code, reason = "only the other tests use the rest")]
mod http;
mod outages;
#[path = "../servers/postgres_server.rs"]
mod postgres_server;
mod process;
#[path = "../../../../tests/redis/server.rs"]
mod redis_server;
mod server;
mod signed_out;
mod site;
mod strangers;
mod tally;
mod verdict;
mod visitors;

use std::env;
use std::process::{ExitCode, id};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::outages::Servers;
use crate::postgres_server::PostgresServer;
use crate::process::{Holdings, IS_SERVER, Process};
use crate::redis_server::Server as RedisServer;
use crate::site::{Site, Until};
use crate::verdict::{Measured, report, verdict};
use crate::visitors::Visitor;

const VISITORS: usize = 8;

const TEN_MINUTES: u64 = 600;

/// Minimum time for a soak with a Redis outage of more than a minute.
const LONG_SOAK: Duration = Duration::from_secs(300);

/// Maximum time of the other outages. Shorter soaks have shorter ones.
const OUTAGE: Duration = Duration::from_secs(4);

/// Time until the connections of the clients and idle threads have ended.
const SETTLING: Duration = Duration::from_secs(15);

const BETWEEN_ROWS: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    if env::var_os(IS_SERVER).is_some() {
        server::run();
        return ExitCode::SUCCESS;
    }
    let seconds = env::var("SOAK_SECONDS").map_or(TEN_MINUTES, |seconds| seconds.parse().unwrap());
    Runtime::new().unwrap().block_on(soak(Duration::from_secs(seconds)))
}

async fn soak(time: Duration) -> ExitCode {
    let (postgres, redis) = (PostgresServer::start(), RedisServer::start(&format!("soak-{}", id())));
    let processes = [(); 2].map(|()| Process::start(&postgres.url(), &redis.url()));
    let site = Site::new(processes.each_ref().map(|it| it.demo), processes.each_ref().map(|it| it.service));
    let (site, processes) = (Arc::new(site), Arc::new(processes));
    let mut servers = Servers { redis, postgres, processes: Arc::clone(&processes) };
    let is_long = time >= LONG_SOAK;

    let began = Instant::now();
    let clients = start_clients(&site, &processes, 0, Until(Instant::now() + time / 5));
    servers.go_and_come(&site, outage(time), Until(Instant::now() + time / 5)).await;
    let before = leave(clients, &processes).await;

    let until = Until(Instant::now() + time * 4 / 5);
    let clients = start_clients(&site, &processes, 1, until);
    if is_long {
        servers.go_and_come(&site, outage(time), Until(Instant::now() + time * 2 / 5)).await;
        servers.lose_redis_for_long(&site).await;
    }
    servers.go_and_come(&site, outage(time), until).await;
    let after = leave(clients, &processes).await;

    let measured = Measured { before, after };
    say(&report(&site, &*processes, &measured, began.elapsed() - 2 * SETTLING));
    let wrong = verdict(&site, &processes.each_ref().map(Process::stop), &measured, is_long);
    wrong.iter().for_each(|wrong| say(&format!("WRONG: {wrong}")));
    match wrong.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

fn outage(time: Duration) -> Duration {
    (time / 20).min(OUTAGE)
}

/// Starts clients of all kinds, and a task that prints the resource use of the processes.
fn start_clients(site: &Arc<Site>, processes: &Arc<[Process; 2]>, turn: usize, until: Until) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    let site = || Arc::clone(site);
    for number in 0..VISITORS {
        clients.spawn(Visitor::new(&site(), turn, number).stay(until));
    }
    let seeds = (10_000 * turn as u64)..;
    for (seed, number) in seeds.zip(0..16) {
        match number {
            0..2 => clients.spawn(customers::come_back(site(), number, seed, until)),
            2..4 => clients.spawn(signed_out::try_again(site(), seed, until)),
            4..6 => clients.spawn(strangers::show_bad_tokens(site(), seed, until)),
            6 => clients.spawn(strangers::guess_passwords(site(), seed, turn, VISITORS, until)),
            7 => clients.spawn(attackers::crowd(site(), seed, until)),
            _ => clients.spawn(attackers::attack(site(), seed, until)),
        };
    }
    clients.spawn(print_rows(site(), Arc::clone(processes), until));
    clients
}

async fn print_rows(site: Arc<Site>, processes: Arc<[Process; 2]>, until: Until) {
    while !until.is_over() {
        for (number, process) in processes.iter().enumerate() {
            let (requests, (faults, _)) = (site.tally.requests(), site.tally.faults());
            say(&format!("process {number} {} {requests} requests {faults} faults", process.holdings()));
        }
        sleep(BETWEEN_ROWS.min(until.left())).await;
    }
}

/// Waits for the clients to leave. Returns the resource use of the processes.
async fn leave(clients: JoinSet<()>, processes: &[Process; 2]) -> Vec<Holdings> {
    clients.join_all().await;
    sleep(SETTLING).await;
    processes.iter().map(Process::holdings).collect()
}

#[expect(clippy::print_stdout, reason = "prints the report")]
fn say(line: &str) {
    println!("{line}");
}
