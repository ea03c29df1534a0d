"""How the ledger's rows are selected, and what is made of them. `a`, `b`, `r`, `t` are accounts, balances, reservations
and transactions throughout."""

from typing import Any

import msgspec

from tallybook.ledger.model import (
    Account,
    Balances,
    Change,
    ChangeKind,
    Reservation,
    Standing,
    Status,
    Transaction,
    Type,
)
from tallybook.ledger.store import Found
from tallybook.ledger.verify import Life

ACCOUNTS = """
    SELECT a.id, a.external_id, a.name, a.email, a.metadata, b.balance, a.created_at, b.updated_at
    FROM accounts AS a JOIN balances AS b ON b.account = a.seq
"""

DUE = "status = 'pending' AND expires_at <= ?"

_STANDING = """
    a.seq, a.id, a.external_id, b.balance, b.reserved, b.updated_at,
    (SELECT sum(amount) FROM reservations
     WHERE account = a.seq AND status = 'pending' AND expires_at > b.updated_at AND expires_at <= ?)
"""
STANDINGS = f"SELECT {_STANDING} FROM accounts AS a JOIN balances AS b ON b.account = a.seq"
"""Takes the instant first. What had expired by the account's last change is no longer in its `reserved`."""

_RESERVATION = """
    r.id, a.id, a.external_id, r.amount, {status}, r.created_at, r.expires_at, r.description, r.metadata,
    t.amount, t.id, t.created_at, r.cancelled_at, r.late
"""
_STATUS = "CASE WHEN r.status = 'pending' AND r.expires_at <= {now} THEN 'expired' ELSE r.status END"
_FROM_RESERVATIONS = """
    FROM reservations AS r
    JOIN accounts AS a ON a.seq = r.account
    LEFT JOIN transactions AS t ON t.reservation = r.seq
"""
RESERVATIONS = f"SELECT {_RESERVATION.format(status=_STATUS.format(now='?'))} {_FROM_RESERVATIONS}"
"""Takes the instant first."""

FOUND = f"""
    SELECT {_RESERVATION.format(status=_STATUS.format(now="max(?, b.updated_at)"))},
           t.balance_after, t.reserved_after, {_STANDING}
    {_FROM_RESERVATIONS}
    JOIN balances AS b ON b.account = a.seq
    WHERE r.id = ? AND r.org_id = ?
"""
"""Takes the instant twice, then the id and the org."""

_TRANSACTION = """
    t.id, {account}.id, {account}.external_id, t.type, t.amount, t.balance_after, t.reserved_after, t.description,
    t.metadata, r.id, t.created_at
"""
TRANSACTIONS = f"""
    SELECT {_TRANSACTION.format(account="a")}
    FROM transactions AS t
    JOIN accounts AS a ON a.seq = t.account
    LEFT JOIN reservations AS r ON r.seq = t.reservation
"""

ACCOUNTS_OF = """
    SELECT t.id, a.id
    FROM json_each(?) AS wanted
    JOIN transactions AS t ON t.id = wanted.value
    JOIN accounts AS a ON a.seq = t.account
    WHERE t.org_id = ?
"""
"""Takes the transactions' ids as a JSON list, then the org."""

LIVES = f"""
    SELECT {_RESERVATION.format(status="r.status")},
           (SELECT json_group_array(json_array(kind, at, expires_before, expires_after))
            FROM (SELECT * FROM reservation_changes WHERE reservation = r.seq ORDER BY seq)),
           {_TRANSACTION.format(account="payer")}
    {_FROM_RESERVATIONS}
    LEFT JOIN accounts AS payer ON payer.seq = t.account
"""

_TYPES = {each.value: each for each in Type}
_STATUSES = {each.value: each for each in Status}

Row = tuple[Any, ...]


def to_account(row: Row) -> Account:
    return Account(*row)


def to_standing(row: Row, now_us: int) -> Standing:
    seq, account_id, external_id, balance, reserved, updated_at, due = row
    balances = Balances(balance, reserved - (due or 0))
    return Standing(seq, account_id, external_id, balances, max(now_us, updated_at))


def to_transaction(row: Row) -> Transaction:
    values = list(row)
    values[3] = _TYPES[values[3]]
    return Transaction(*values)


def to_reservation(row: Row) -> Reservation:
    values = list(row)
    values[4], values[13] = _STATUSES[values[4]], bool(values[13])
    return Reservation(*values)


def to_found(row: Row, now_us: int) -> Found:
    settled = None if row[14] is None else Balances(row[14], row[15])
    return Found(to_reservation(row[:14]), to_standing(row[16:], now_us), settled)


def to_life(row: Row) -> Life:
    changes = tuple(Change(ChangeKind(kind), *rest) for kind, *rest in msgspec.json.decode(row[14]))
    return Life(to_reservation(row[:14]), changes, None if row[15] is None else to_transaction(row[15:]))
