// Projections management: the system projections run; custom ones are refused with a clear status.
import { assert, refusal, refusedAs, withClient } from "./harness/suite.mjs";

const systemProjections = ["$by_category", "$by_correlation_id", "$by_event_type", "$stream_by_category", "$streams"];

withClient("projections", ({ it }) => {
  it("the five system projections are listed and running", async ({ client }) => {
    const listed = await client.listProjections();
    assert.deepEqual(listed.map((each) => each.name).sort(), systemProjections);
    for (const name of systemProjections) {
      const status = await client.getProjectionStatus(name);
      assert.equal(status.projectionStatus, "Running");
      assert.equal(status.name, name);
    }
  });

  it("they can be enabled; they are views and never stop", async ({ client }) => {
    await client.enableProjection("$by_category");
    assert.equal((await client.getProjectionStatus("$by_category")).projectionStatus, "Running");
    assert.ok((await refusal(client.disableProjection("$by_category"))) instanceof Error);
    assert.ok((await refusal(client.abortProjection("$by_category"))) instanceof Error);
    await client.resetProjection("$by_category");
    assert.equal((await client.getProjectionStatus("$by_category")).projectionStatus, "Running");
    assert.ok((await refusal(client.deleteProjection("$by_category"))) instanceof Error);
    assert.ok((await refusal(client.updateProjection("$by_category", "fromAll()"))) instanceof Error);
  });

  it("an unknown projection is not found", async ({ client, api }) => {
    for (const attempt of [
      () => client.getProjectionStatus("nobody"),
      () => client.getProjectionState("nobody"),
      () => client.getProjectionResult("nobody"),
      () => client.enableProjection("nobody"),
      () => client.disableProjection("nobody"),
      () => client.resetProjection("nobody"),
      () => client.deleteProjection("nobody"),
    ]) {
      await refusedAs(api, api.ErrorType.NOT_FOUND, attempt());
    }
  });

  it("custom projections are refused with a reason", async ({ client }) => {
    const error = await refusal(client.createProjection("mine", "fromAll().when({ $init: () => ({ n: 0 }) })"));
    assert.match(error.message, /projection/i);
    assert.ok(!(await client.listProjections()).some((each) => each.name === "mine"));
  });

  it("the subsystem can be restarted", async ({ client }) => {
    await client.restartSubsystem();
    assert.equal((await client.getProjectionStatus("$streams")).projectionStatus, "Running");
  });
});
