//! A server's life: made, shared, killed, found again, and gone when nobody is left.

mod support;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use embedded_postgres::{Config, Error, Postgres};
use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use support::{
    USER_ROOT, User, ask, group, kill, leave_pid_file, pid_file, processes, root, run, server_of,
    server_pid, signal, start, until, write, written,
};

#[tokio::test]
async fn a_fresh_directory_gets_a_server_with_the_application_database() {
    let root = root();

    let postgres = Postgres::start(Config::new(root.path())).await.unwrap();

    let mut db = postgres.options().connect().await.unwrap();
    assert_eq!(
        ask(&mut db, "select current_user || ' in ' || current_database()").await,
        "slipway in slipway"
    );
    assert_eq!(ask(&mut db, "show server_encoding").await, "UTF8");
    assert_eq!(ask(&mut db, "show timezone").await, "UTC");
    assert_eq!(ask(&mut db, "show listen_addresses").await, "");
    assert_eq!(ask(&mut db, "show fsync").await, "on");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn the_application_has_the_rights_of_production() {
    let root = root();
    let postgres = start(&root).await;
    let mut db = postgres.options().connect().await.unwrap();

    let rights =
        "select concat_ws(' ', rolsuper, rolbypassrls, rolreplication, rolcreaterole, rolcreatedb)
                  from pg_roles where rolname = current_user";
    assert_eq!(ask(&mut db, rights).await, "f f f t t");
    run(&mut db, "create role app_tenant nologin").await;
    run(&mut db, "create table orgs (id int)").await;

    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_test_can_create_databases_and_do_without_durability() {
    let root = root();
    let config = Config { durable: false, max_connections: 300, ..Config::new(root.path()) };
    let postgres = Postgres::start(config).await.unwrap();

    let mut admin = postgres.admin_options().connect().await.unwrap();
    run(&mut admin, "create database one owner slipway").await;
    let mut one = postgres.options().database("one").connect().await.unwrap();

    assert_eq!(ask(&mut one, "show fsync").await, "off");
    assert_eq!(ask(&mut one, "show max_connections").await, "300");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn the_url_leads_to_the_application_database() {
    let root = root();
    let postgres = start(&root).await;

    let options: PgConnectOptions = postgres.url().parse().unwrap();
    let mut db = options.connect().await.unwrap();

    assert_eq!(
        ask(&mut db, "select current_user || ' in ' || current_database()").await,
        "slipway in slipway"
    );
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_stopped_server_keeps_its_data_and_leaves_no_process() {
    let root = root();
    let postgres = start(&root).await;
    write(&postgres, 1).await;

    postgres.stop().await.unwrap();
    assert!(processes(&root).is_empty(), "{:?}", processes(&root));

    let postgres = start(&root).await;
    assert_eq!(written(&postgres).await, "1");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn users_share_one_server_and_the_last_one_ends_it() {
    let root = root();
    let first = start(&root).await;
    let second = start(&root).await;
    assert_eq!(server_of(&first).await, server_of(&second).await);

    first.stop().await.unwrap();
    write(&second, 1).await;
    second.stop().await.unwrap();

    // Whose child the watchdog was did not wait for it, or is dead.
    until("no process is left", || processes(&root).is_empty());
}

#[tokio::test]
async fn users_who_start_at_once_get_the_same_server() {
    let root = root();

    let (one, two, three) = tokio::join!(start(&root), start(&root), start(&root));

    let server = server_of(&one).await;
    assert_eq!(server_of(&two).await, server);
    assert_eq!(server_of(&three).await, server);
    for postgres in [one, two, three] {
        postgres.stop().await.unwrap();
    }
}

#[tokio::test]
async fn committed_data_survives_the_killing_of_its_user() {
    let root = root();
    kill(User::start(&root));

    let postgres = start(&root).await;

    assert_eq!(written(&postgres).await, "42");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn the_killing_of_one_user_leaves_the_server_to_the_others() {
    let root = root();
    let user = User::start(&root);
    let postgres = start(&root).await;
    let mut db = postgres.options().connect().await.unwrap();

    kill(user);

    assert_eq!(ask(&mut db, "select number::text from numbers").await, "42");
    postgres.stop().await.unwrap();
    // Whose child the watchdog was did not wait for it, or is dead.
    until("no process is left", || processes(&root).is_empty());
}

#[tokio::test]
async fn the_server_goes_away_when_its_last_user_is_killed() {
    let root = root();
    let user = User::start(&root);
    assert!(!processes(&root).is_empty());

    kill(user);

    until("the server is gone", || processes(&root).is_empty());
}

#[tokio::test]
async fn a_ctrl_c_in_the_terminal_is_for_the_user_alone() {
    let root = root();
    let postgres = start(&root).await;

    let ours = group(std::process::id());
    let groups: Vec<_> = processes(&root).iter().map(|(pid, _)| group(*pid)).collect();

    assert_eq!(groups.len(), 2, "the server and its watchdog");
    assert!(!groups.contains(&ours));
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_outlives_its_last_user_by_the_grace_for_the_next_one() {
    let root = root();
    let grace = Duration::from_secs(2);
    let postgres = Postgres::start(Config { grace, ..Config::new(root.path()) }).await.unwrap();
    let left = Instant::now();
    drop(postgres);
    until("the server is gone", || processes(&root).is_empty());
    assert!(left.elapsed() >= grace);

    let grace = Duration::from_mins(1);
    let postgres = Postgres::start(Config { grace, ..Config::new(root.path()) }).await.unwrap();
    let server = server_of(&postgres).await;
    drop(postgres);
    let next = start(&root).await;
    assert_eq!(server_of(&next).await, server);
    // Nobody waits for the end of that grace.
    for (pid, _) in processes(&root) {
        signal("TERM", pid);
    }
    drop(next);
    until("the server is gone", || processes(&root).is_empty());
}

#[tokio::test]
async fn a_user_who_comes_while_the_server_ends_gets_one_that_stays() {
    let root = root();
    for round in 1..=8 {
        let postgres = start(&root).await;
        write(&postgres, round).await;
        drop(postgres);
        // Meets the watchdog before, in and after its decision.
        tokio::time::sleep(Duration::from_millis(round.unsigned_abs().into())).await;
    }

    let postgres = start(&root).await;
    assert_eq!(written(&postgres).await, "1,2,3,4,5,6,7,8");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_without_watchdog_gets_one_from_the_next_user() {
    let root = root();
    let first = start(&root).await;
    for (pid, command) in processes(&root) {
        if command.contains("watchdog") {
            signal("KILL", pid);
        }
    }
    until("the watchdog is dead", || {
        processes(&root).iter().all(|(_, command)| !command.contains("watchdog"))
    });

    let second = start(&root).await;
    assert_eq!(server_of(&first).await, server_of(&second).await);
    drop(first);
    second.stop().await.unwrap();

    // Whose child the watchdog was did not wait for it, or is dead.
    until("no process is left", || processes(&root).is_empty());
}

#[tokio::test]
async fn the_pid_file_of_a_dead_server_is_ignored() {
    let root = root();
    let postgres = Postgres::start(Config::new(root.path())).await.unwrap();
    write(&postgres, 1).await;
    let server = server_pid(&root);
    signal("KILL", server);
    until("the server is dead", || processes(&root).iter().all(|(pid, _)| *pid != server));
    assert!(pid_file(&root).exists());
    drop(postgres);

    let postgres = start(&root).await;

    assert_eq!(written(&postgres).await, "1");
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_pid_file_whose_number_went_to_another_program_is_ignored() {
    let root = root();
    // Where root stays root, so that PostgreSQL could signal the program and would not start.
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o700)).unwrap();
    start(&root).await.stop().await.unwrap();
    let mut program = Command::new("sleep").arg("600").spawn().unwrap();
    leave_pid_file(&root, program.id());

    let restarted = Postgres::start(Config::new(root.path())).await;

    program.kill().unwrap();
    program.wait().unwrap();
    restarted.unwrap().stop().await.unwrap();
}

#[tokio::test]
async fn a_pid_file_whose_number_went_to_another_server_harms_neither() {
    let (root, other_root) = (self::root(), self::root());
    let other = start(&other_root).await;
    start(&root).await.stop().await.unwrap();
    leave_pid_file(&root, server_pid(&other_root));

    let error = Postgres::start(Config::new(root.path())).await.unwrap_err();

    assert!(error.to_string().contains("Is another postmaster"), "{error}");
    until("the watchdog is gone", || processes(&root).is_empty());
    write(&other, 1).await;
    other.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_whose_process_is_out_of_sight_is_joined() {
    let root = root();
    let first = start(&root).await;
    let file = fs::read(pid_file(&root)).unwrap();
    leave_pid_file(&root, u32::MAX >> 1);

    let second = start(&root).await;

    assert_eq!(server_of(&first).await, server_of(&second).await);
    fs::write(pid_file(&root), file).unwrap();
    for postgres in [first, second] {
        postgres.stop().await.unwrap();
    }
}

#[tokio::test]
async fn data_of_another_major_version_is_refused() {
    let root = root();
    let data = root.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("PG_VERSION"), "14\n").unwrap();

    let error = Postgres::start(Config::new(root.path())).await.unwrap_err();

    let message = error.to_string();
    assert!(message.contains("was made by PostgreSQL 14, but only "), "{message}");
    assert_eq!(fs::read_to_string(data.join("PG_VERSION")).unwrap(), "14\n");
    until("the watchdog is gone", || processes(&root).is_empty());
}

#[tokio::test]
async fn a_directory_without_postgres_is_refused_as_bin_dir() {
    let root = root();
    let config = Config { bin_dir: Some("/nowhere".into()), ..Config::new(root.path()) };

    let error = Postgres::start(config).await.unwrap_err();

    assert!(matches!(&error, Error::BinDir(dir) if dir == Path::new("/nowhere")), "{error:?}");
}

#[tokio::test]
async fn a_directory_too_deep_for_a_socket_works() {
    let root = root();
    let deep = root.path().join("directory".repeat(12));

    let postgres = Postgres::start(Config::new(&deep)).await.unwrap();

    write(&postgres, 1).await;
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn the_server_never_runs_as_root() {
    let (closed, open) = (root(), root());
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let caller = fs::metadata(open.path()).unwrap().uid();

    for root in [&closed, &open] {
        let postgres = start(root).await;
        write(&postgres, 1).await;
        let server = server_pid(root);
        let owner = fs::metadata(root.path().join("data")).unwrap().uid();
        match fs::read_to_string(format!("/proc/{server}/uid_map")) {
            // Seen from outside, root in a namespace is root; seen from inside, it is not.
            Ok(names) if owner == 0 => assert_ne!(names.split_whitespace().next(), Some("0")),
            _ => assert!(owner != 0 && (caller == 0 || owner == caller)),
        }
        postgres.stop().await.unwrap();
    }
}

/// Not a test of its own: the process that the tests above kill.
#[tokio::test]
#[ignore = "run by other tests, as another process"]
async fn the_process_of_a_user() {
    let root = PathBuf::from(std::env::var_os(USER_ROOT).unwrap());
    let postgres = Postgres::start(Config::new(root)).await.unwrap();
    write(&postgres, 42).await;
    println!("\nwritten");
    std::io::stdin().lines().count();
}
