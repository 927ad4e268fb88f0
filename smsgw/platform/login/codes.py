"""Codes to a person's phone, as real messages of a sending account in the lane of one-time passwords.

Several accounts can be named, each with its own channels: when one refuses, the next one is asked, and a second code
goes first by the second one. So there is a spare way while the gateway stands; when it does not, there are the app,
passkeys and recovery codes.
"""

from __future__ import annotations

import structlog

from smsgw.core import numbers
from smsgw.core.actor import Actor
from smsgw.core.errors import Refused, SmsgwError, Temporary, Uncertain
from smsgw.core.model import MessageType, Origin
from smsgw.pipeline.accept.acceptor import Acceptor
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.pipeline.snapshot import Snapshots
from smsgw.platform.login import queries
from smsgw.platform.login.model import CODE_SENDER
from smsgw.platform.org import factors
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

log = structlog.get_logger(__name__)

SENDER = Actor.system(CODE_SENDER)


class LoginCodes:
    """Makes codes and sends them."""

    def __init__(self, database: Database, sealer: Sealer, acceptor: Acceptor, snapshots: Snapshots) -> None:
        self._database = database
        self._sealer = sealer
        self._acceptor = acceptor
        self._snapshots = snapshots

    async def send(self, staff_id: int, purpose: str, *, first: int = 0) -> str:
        """Send one to the person's phone, which is told masked. ``purpose`` as of ``factors.new_sms_code``; ``first``:
        which of the accounts is asked first, so that another try takes another way.

        Raises ``STATE_CONFLICT`` without a number, ``RATE_LIMITED``, ``LOGIN_SMS_UNSET``, and ``LOGIN_SMS_FAILED``
        when no account takes it: then the next try need not wait.
        """
        policy = await queries.policy(self._database)
        if not policy.sms_accounts:
            raise Refused("LOGIN_SMS_UNSET")
        number, code = await factors.new_sms_code(self._database, self._sealer, staff_id, purpose)
        turn = first % len(policy.sms_accounts)
        for account_id in (*policy.sms_accounts[turn:], *policy.sms_accounts[:turn]):
            if await self._sent(account_id, number, policy.sms_text.replace("{code}", code)):
                return numbers.mask(number)
        await factors.unsent(self._database, staff_id)
        raise Temporary("LOGIN_SMS_FAILED")

    async def _sent(self, account_id: int, number: str, text: str) -> bool:
        account = self._snapshots.current.account(account_id)
        if account is None or account.training:  # of one that rehearses nobody gets anything
            return False
        try:
            result = await self._acceptor.send(
                SendRequest(
                    account=account, items=(SendItem(to=f"+{number}", content=text),), type=MessageType.OTP,
                    origin=Origin.PORTAL, submitter=SENDER.label,
                )
            )  # fmt: skip
        except Uncertain as exc:  # it may be on its way; who gets none asks for another
            log.warning("login.code_uncertain", account=account_id, code=exc.code)
            return True
        except SmsgwError as exc:
            log.warning("login.code_refused", account=account_id, code=exc.code)
            return False
        item = result.items[0]
        if not result.accepted:
            log.warning("login.code_refused", account=account_id, code=item.code)
        return bool(result.accepted)
