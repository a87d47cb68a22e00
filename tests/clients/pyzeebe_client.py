"""The workflow of README.md with pyzeebe."""

import asyncio
import os
import pathlib
import sys

from pyzeebe import ZeebeClient, ZeebeWorker, create_insecure_channel

PATIENCE_SECONDS = 60


async def work(channel, job_type, count):
    """Completes that many jobs and gives the orders that they belong to."""
    worker = ZeebeWorker(channel)
    orders = []
    done = asyncio.Event()

    @worker.task(task_type=job_type)
    async def task(order: int) -> dict:
        orders.append(order)
        if len(orders) == count:
            done.set()
        return {job_type: True}

    working = asyncio.create_task(worker.work())
    await asyncio.wait_for(done.wait(), PATIENCE_SECONDS)
    # The answer to the last job is still on its way; stopping waits for it.
    await worker.stop()
    await asyncio.wait_for(working, PATIENCE_SECONDS)
    return sorted(orders)


async def before(channel, client):
    await client.deploy_resource(str(pathlib.Path(__file__).parent / "process.bpmn"))
    for order in (1, 2, 3):
        await client.run_process("client-tour", variables={"order": order})
    assert await work(channel, "first-step", 3) == [1, 2, 3]


async def after(channel, client):
    for order in (1, 2, 3):
        await client.publish_message("paid", correlation_key=str(order))
    assert await work(channel, "second-step", 3) == [1, 2, 3]
    result = asyncio.create_task(
        client.run_process_with_result("client-tour", variables={"order": 4}, timeout=PATIENCE_SECONDS * 1000)
    )
    assert await work(channel, "first-step", 1) == [4]
    await client.publish_message("paid", correlation_key="4")
    assert await work(channel, "second-step", 1) == [4]
    variables = (await result).variables
    assert variables["order"] == 4 and variables["second-step"] is True, variables


async def main():
    channel = create_insecure_channel(grpc_address=os.environ["ZEEBE_ADDRESS"])
    client = ZeebeClient(channel)
    await {"before": before, "after": after}[sys.argv[1]](channel, client)


asyncio.run(main())
