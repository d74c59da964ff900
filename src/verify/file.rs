//! Is the database's file itself whole?

use super::{Problem, Report};
use crate::store::sqlite::FILE;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use std::path::Path;

/// Asks SQLite to look at every page, and compares the times in audit rows, which nothing else reads.
pub async fn check_file(dir: &Path, report: &mut Report) {
    let found = match open(&dir.join(FILE)).await {
        Ok(mut connection) => {
            let found = look(&mut connection).await;
            let _ = connection.close().await;
            found
        }
        Err(error) => Err(error),
    };
    match found {
        Ok(problems) => report.problems.extend(problems),
        Err(error) => report.problems.push(Problem {
            at: 0,
            what: "file",
            detail: format!("{}: {error}", dir.join(FILE).display()),
        }),
    }
}

async fn open(path: &Path) -> sqlx::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).disable_statement_logging();
    match options.connect().await {
        Ok(connection) => Ok(connection),
        // A directory that cannot be written: SQLite would want its shared memory there.
        Err(_) => options.immutable(true).connect().await,
    }
}

async fn look(connection: &mut SqliteConnection) -> sqlx::Result<Vec<Problem>> {
    let said: Vec<String> = sqlx::query_scalar("PRAGMA integrity_check(50)").fetch_all(&mut *connection).await?;
    let mut problems: Vec<Problem> = said
        .into_iter()
        .filter(|line| line != "ok")
        .map(|detail| Problem { at: 0, what: "file", detail: format!("the database's file: {detail}") })
        .collect();
    let sql = "SELECT position FROM audit_events WHERE at IS NOT strftime('%Y-%m-%dT%H:%M:%S', \
               (at_us - ((at_us % 1000000) + 1000000) % 1000000) / 1000000, 'unixepoch') \
               || printf('.%06dZ', ((at_us % 1000000) + 1000000) % 1000000) LIMIT 50";
    let rows: Vec<i64> = sqlx::query_scalar(sql).fetch_all(connection).await?;
    problems.extend(rows.into_iter().map(|position| Problem {
        at: position.unsigned_abs(),
        what: "audit_row",
        detail: format!("the audit row of event {position} says something else: at"),
    }));
    Ok(problems)
}
