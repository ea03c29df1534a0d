"""The lines of the ledger (contract section 7)."""

import asyncio
from typing import Any

from tallybook.http.credits.convert import (
    pagination,
    reservation_shown,
    to_address,
    to_end,
    to_posting,
    to_slice,
    to_start,
    transaction_shown,
)
from tallybook.http.credits.operations import Call, Operation
from tallybook.http.credits.usage_list import Usages, reach_in_org
from tallybook.http.credits.wire import TransactionCreated, TransactionList, TransactionsAsked, TransactionWanted
from tallybook.ledger.model import Address, Type
from tallybook.ledger.service import LedgerService


class Transactions:
    def __init__(self, ledger: LedgerService, usages: Usages) -> None:
        self._ledger = ledger
        self._usages = usages
        self.operations: list[Operation[Any]] = [
            Operation(
                "GET", "/v1/transactions", "list_transactions", "List ledger entries, newest first",
                TransactionsAsked, TransactionList, self._list,
            ),
            Operation(
                "POST", "/v1/transactions/create", "create_transaction", "Enter a credit or debit by hand",
                TransactionWanted, TransactionCreated, self._create,
            ),
        ]  # fmt: skip

    async def _list(self, call: Call[TransactionsAsked]) -> TransactionList:
        return await asyncio.to_thread(self._page, call)

    def _page(self, call: Call[TransactionsAsked]) -> TransactionList:
        org_id, asked = call.org_id, call.wanted
        page, address = to_slice(asked), to_address(asked)
        found = self._ledger.list_transactions(
            org_id,
            None if address == Address() else address,
            page,
            start_us=to_start(asked.start_date),
            end_us=to_end(asked.end_date),
        )
        transactions = list(found.rows)
        items = [transaction_shown(transaction) for transaction in transactions]
        included = (asked.include or "").split(",")
        if "reservation" in included:
            settled = self._ledger.reservations_of(org_id, transactions)
            for item in items:
                reservation = settled.get(item.reservation_id or "")
                item.reservation = None if reservation is None else reservation_shown(reservation)
        if "usage" in included:
            records = self._usages.of_transactions(reach_in_org(call), org_id, transactions)
            for item in items:
                item.usage_records = item.usage = records.get(item.id, [])
        return TransactionList(items, pagination(page, len(items), found.total))

    async def _create(self, call: Call[TransactionWanted]) -> TransactionCreated:
        posting = to_posting(call.wanted, Type(call.wanted.type))
        made = await self._ledger.post(call.org_id, to_address(call.wanted), posting, call.repeat)
        return TransactionCreated(transaction_shown(made))
