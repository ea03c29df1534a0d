"""Plans, assignments and grants in SQLite."""

from collections.abc import Collection
from typing import Any

import msgspec

from tallybook.core.unit_of_work import Transaction as Tx
from tallybook.ledger.model import Listed, Slice, Standing
from tallybook.plans.model import Assignment, Grant, Interval, Plan
from tallybook.plans.store import Due
from tallybook.storage.sqlite.engine import SqliteEngine, connection_of
from tallybook.storage.sqlite.ledger_lists import Query, listed

_PLAN = """
    p.id, p.name, p.description, p.price, p.credits, p.interval, p.occurrences, p.accumulate, p.active, p.created_at,
    p.updated_at
"""
_PLANS = f"SELECT {_PLAN} FROM plans AS p"
_ASSIGNMENT = f"""
    h.id, a.id, a.external_id, h.open = 1 AND (h.expires_at IS NULL OR h.expires_at > ?), h.created_at, h.expires_at,
    h.deferred, h.granted, h.next_grant_at, {_PLAN}
"""
_ASSIGNMENTS_FROM = """
    FROM account_plans AS h
    JOIN accounts AS a ON a.seq = h.account
    JOIN plans AS p ON p.seq = h.plan
"""
_ASSIGNMENTS = f"SELECT {_ASSIGNMENT} {_ASSIGNMENTS_FROM}"
_DUE = f"""
    SELECT {_ASSIGNMENT}, h.org_id, h.next_grant_at {_ASSIGNMENTS_FROM}
    WHERE h.next_grant_at <= ? AND h.id NOT IN (SELECT value FROM json_each(?)) ORDER BY h.next_grant_at, h.seq LIMIT 1
"""
_DEBITED_SINCE = """
    SELECT t.balance_after - b.balance, ifnull(sum(later.amount >> 32), 0), ifnull(sum(later.amount & 0xFFFFFFFF), 0)
    FROM transactions AS t
    JOIN balances AS b ON b.account = t.account
    LEFT JOIN transactions AS later ON later.account = t.account AND later.type = 'credit' AND later.seq > t.seq
    WHERE t.id = ? AND t.account = ? AND t.org_id = ?
    GROUP BY t.seq
"""
"""The fall of the balance, then the credits in two halves: some thousand large ones are above a sum of SQLite."""
_INTERVALS = {each.value: each for each in Interval}


class SqlitePlanStore:
    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    def find_plan(self, org_id: str, plan_id: str, transaction: Tx | None = None) -> Plan | None:
        wanted = f"{_PLANS} WHERE p.id = ? AND p.org_id = ?"
        row = self._engine.read(transaction).execute(wanted, (plan_id, org_id)).fetchone()
        return None if row is None else _plan(row)

    def add_plan(self, transaction: Tx, org_id: str, plan: Plan) -> None:
        connection_of(transaction).execute(
            "INSERT INTO plans (id, org_id, name, description, price, credits, interval, occurrences, accumulate,"
            " active, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                plan.id,
                org_id,
                plan.name,
                plan.description,
                plan.price,
                plan.credits_micro,
                plan.interval,
                plan.occurrences,
                plan.accumulate,
                plan.active,
                plan.created_at_us,
                plan.updated_at_us,
            ),
        )

    def replace_plan(self, transaction: Tx, org_id: str, plan: Plan) -> None:
        connection_of(transaction).execute(
            "UPDATE plans SET active = ?, updated_at = ? WHERE id = ? AND org_id = ?",
            (plan.active, plan.updated_at_us, plan.id, org_id),
        )

    def list_plans(self, org_id: str, page: Slice | None, rows_max: int) -> Listed[Plan]:
        return listed(self._engine, Query("plans", "p", _PLANS, _plan, {"p.org_id = ?": org_id}), page, rows_max)

    def find_open(self, transaction: Tx, org_id: str, account: Standing) -> Assignment | None:
        row = (
            connection_of(transaction)
            .execute(
                f"{_ASSIGNMENTS} WHERE h.account = ? AND h.open = 1 AND h.org_id = ?",
                (account.now_us, account.row, org_id),
            )
            .fetchone()
        )
        return None if row is None else _assignment(row)

    def list_assignments(self, org_id: str, account: Standing, page: Slice | None, rows_max: int) -> Listed[Assignment]:
        conditions: dict[str, str | int] = {"h.account = ?": account.row, "h.org_id = ?": org_id}
        query = Query("account_plans", "h", _ASSIGNMENTS, _assignment, conditions, seen_at_us=(account.now_us,))
        return listed(self._engine, query, page, rows_max)

    def add_assignment(self, transaction: Tx, org_id: str, account: Standing, assignment: Assignment) -> None:
        connection_of(transaction).execute(
            "INSERT INTO account_plans (id, org_id, account, plan, created_at, deferred, expires_at, granted,"
            " next_grant_at) VALUES (?, ?, ?, (SELECT seq FROM plans WHERE id = ? AND org_id = ?), ?, ?, ?, ?, ?)",
            (
                assignment.id,
                org_id,
                account.row,
                assignment.plan.id,
                org_id,
                assignment.started_at_us,
                assignment.deferred,
                assignment.expires_at_us,
                assignment.granted,
                assignment.next_grant_at_us,
            ),
        )

    def end_assignment(self, transaction: Tx, org_id: str, assignment: Assignment) -> None:
        connection_of(transaction).execute(
            "UPDATE account_plans SET open = 0, expires_at = ?, next_grant_at = NULL WHERE id = ? AND org_id = ?",
            (assignment.expires_at_us, assignment.id, org_id),
        )

    def append_grant(self, transaction: Tx, org_id: str, grant: Grant, assignment: Assignment) -> None:
        writer = connection_of(transaction)
        writer.execute(
            "INSERT INTO plan_grants (account_plan, number, org_id, due_at, credit, expirable)"
            " VALUES ((SELECT seq FROM account_plans WHERE id = ? AND org_id = ?), ?, ?, ?,"
            " (SELECT seq FROM transactions WHERE id = ? AND org_id = ?), ?)",
            (
                grant.assignment_id,
                org_id,
                grant.number,
                org_id,
                grant.due_at_us,
                grant.transaction_id,
                org_id,
                grant.expirable_micro,
            ),
        )
        writer.execute(
            "UPDATE account_plans SET granted = ?, next_grant_at = ? WHERE id = ? AND org_id = ?",
            (assignment.granted, assignment.next_grant_at_us, assignment.id, org_id),
        )

    def last_grant(self, transaction: Tx, org_id: str, assignment: Assignment) -> Grant:
        row = (
            connection_of(transaction)
            .execute(
                "SELECT h.id, g.number, g.due_at, t.id, g.expirable FROM account_plans AS h"
                " JOIN plan_grants AS g ON g.account_plan = h.seq AND g.number = h.granted"
                " JOIN transactions AS t ON t.seq = g.credit"
                " WHERE h.id = ? AND h.org_id = ?",
                (assignment.id, org_id),
            )
            .fetchone()
        )
        return Grant(*row)

    def debited_since(self, transaction: Tx, org_id: str, account: Standing, transaction_id: str) -> int:
        row = connection_of(transaction).execute(_DEBITED_SINCE, (transaction_id, account.row, org_id)).fetchone()
        fallen_micro, high, low = map(int, row)
        return fallen_micro + (high << 32) + low

    def find_due(self, transaction: Tx, now_us: int, passed_over: Collection[str] = ()) -> Due | None:
        without = msgspec.json.encode(list(passed_over)).decode()
        row = connection_of(transaction).execute(_DUE, (now_us, now_us, without)).fetchone()
        return None if row is None else Due(row[-2], _assignment(row[:-2]), row[-1])

    def oldest_due_us(self) -> int | None:
        due = "SELECT min(next_grant_at) FROM account_plans WHERE next_grant_at IS NOT NULL"
        oldest: int | None
        (oldest,) = self._engine.read().execute(due).fetchone()
        return oldest


def _plan(row: tuple[Any, ...]) -> Plan:
    values = list(row)
    values[5], values[7], values[8] = _INTERVALS[values[5]], bool(values[7]), bool(values[8])
    return Plan(*values)


def _assignment(row: tuple[Any, ...]) -> Assignment:
    assignment_id, account_id, external_id, active, started_at, expires_at, deferred, granted, next_grant_at = row[:9]
    return Assignment(
        id=assignment_id,
        account_id=account_id,
        external_id=external_id,
        plan=_plan(row[9:]),
        active=bool(active),
        started_at_us=started_at,
        expires_at_us=expires_at,
        deferred=bool(deferred),
        granted=granted,
        next_grant_at_us=next_grant_at,
    )
