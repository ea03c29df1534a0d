"""Accounts, their balances, and credits added and deducted (contract sections 4 and 5)."""

import asyncio
from typing import Any

from tallybook.http.credits.amounts import to_wire_amount
from tallybook.http.credits.convert import (
    account_shown,
    balance_shown,
    pagination,
    to_address,
    to_new_account,
    to_posting,
    to_slice_if_asked,
)
from tallybook.http.credits.operations import Answer, Call, Operation
from tallybook.http.credits.streams import listed
from tallybook.http.credits.wire import (
    AccountCreated,
    AccountList,
    AccountShown,
    AccountWanted,
    Added,
    Addressed,
    AddWanted,
    BalanceShown,
    Deducted,
    DeductWanted,
    Paged,
)
from tallybook.ledger.model import Type
from tallybook.ledger.service import LedgerService


class Accounts:
    def __init__(self, ledger: LedgerService) -> None:
        self._ledger = ledger
        self.operations: list[Operation[Any]] = [
            Operation(
                "POST", "/v1/accounts/create", "create_account", "Create an account",
                AccountWanted, AccountCreated, self._create,
            ),
            Operation("GET", "/v1/accounts", "list_accounts", "List accounts", Paged, AccountList, self._list),
            Operation("GET", "/v1/accounts/get", "get_account", "One account", Addressed, AccountShown, self._get),
            Operation(
                "GET", "/v1/accounts/balance", "get_balance", "Balance, reserved and available credits",
                Addressed, BalanceShown, self._balance, hot=True,
            ),
            Operation(
                "POST", "/v1/accounts/credits/add", "add_credits", "Add credits", AddWanted, Added, self._add
            ),
            Operation(
                "POST", "/v1/accounts/credits/deduct", "deduct_credits", "Deduct credits",
                DeductWanted, Deducted, self._deduct,
            ),
        ]  # fmt: skip

    async def _create(self, call: Call[AccountWanted]) -> AccountCreated:
        account = await self._ledger.create_account(call.org_id, to_new_account(call.wanted), call.repeat)
        return AccountCreated(account_shown(account, call.org_id))

    async def _list(self, call: Call[Paged]) -> Answer:
        page = to_slice_if_asked(call.wanted)
        found = await asyncio.to_thread(self._ledger.list_accounts, call.org_id, page)
        shown = (account_shown(account, call.org_id) for account in found.rows)
        if page is None:
            return listed(b'{"accounts":[', shown, b"]}")
        accounts = list(shown)
        return AccountList(accounts, pagination(page, len(accounts), found.total))

    async def _get(self, call: Call[Addressed]) -> AccountShown:
        return account_shown(self._ledger.get_account(call.org_id, to_address(call.wanted)), call.org_id)

    async def _balance(self, call: Call[Addressed]) -> BalanceShown:
        return balance_shown(self._ledger.standing(call.org_id, to_address(call.wanted)))

    async def _add(self, call: Call[AddWanted]) -> Added:
        posting = to_posting(call.wanted, Type.CREDIT)
        made = await self._ledger.post(call.org_id, to_address(call.wanted), posting, call.repeat)
        balance, added = to_wire_amount(made.balance_after_micro), to_wire_amount(made.amount_micro)
        return Added(made.account_id, made.external_id, balance, added, made.id)

    async def _deduct(self, call: Call[DeductWanted]) -> Deducted:
        posting = to_posting(call.wanted, Type.DEBIT)
        made = await self._ledger.post(call.org_id, to_address(call.wanted), posting, call.repeat)
        balance, deducted = to_wire_amount(made.balance_after_micro), to_wire_amount(made.amount_micro)
        return Deducted(made.account_id, made.external_id, balance, deducted, made.id)
