"""A host with OpenAI's Agents SDK: PIECE of the guide, then what its runner does with a tool. Prints what each call came to, as JSON."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from agents.mcp.util import MCPUtil
from agents.run_context import RunContextWrapper

host: dict[str, Any] = {}
exec(compile(Path(sys.argv[1]).read_text(), "guide", "exec"), host)  # the guide's own text, which this shows to work


async def main(words: str) -> None:
    async with host["bank"] as bank:
        tools = {tool.name: tool for tool in await bank.list_tools()}

        async def called(name: str, **arguments: Any) -> dict[str, Any]:
            told: Any = await MCPUtil.invoke_mcp_tool(bank, tools[name], RunContextWrapper(None), json.dumps(arguments))
            answer: dict[str, Any] = json.loads(told["text"] if isinstance(told, dict) else told)
            return answer

        accounts = (await called("list_accounts"))["result"]["accounts"]
        debit = next(item["account"] for item in accounts if (item["currency"], item["status"]) == ("GBP", "open"))
        payees = (await called("list_beneficiaries", account=debit))["result"]["beneficiaries"]
        payee = next(item["beneficiary"] for item in payees if "Harbour" in item["name"])
        wanted = {"from": debit, "to": payee, "amount": {"value": "20.00", "currency": "GBP"}}
        unsaid = await called("initiate_transfer", **wanted)
        await asyncio.to_thread(host["typed"], words)
        held = await called("initiate_transfer", **wanted)
    print(json.dumps({"unsaid": unsaid["error"]["code"], "said": held["error"]["code"]}))


asyncio.run(main(sys.argv[2]))
