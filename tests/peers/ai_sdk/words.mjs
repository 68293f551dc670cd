// A host with Vercel's AI SDK, behind the piece of the guide that it is put behind: what its runner does with a tool. Prints, as JSON,
// what each call came to.

const [words] = process.argv.slice(1);
const called = async (name, input) => (await tools[name].execute(input, { toolCallId: name, messages: [] }))._meta['tellergate/call'];
const answered = async (name, input) => (await tools[name].execute(input, { toolCallId: name, messages: [] })).structuredContent;
const { accounts } = await answered('list_accounts', {});
const debit = accounts.find((item) => item.currency === 'GBP' && item.status === 'open').account;
const { beneficiaries } = await answered('list_beneficiaries', { account: debit });
const payee = beneficiaries.find((item) => item.name.includes('Harbour')).beneficiary;
const wanted = { from: debit, to: payee, amount: { value: '20.00', currency: 'GBP' } };
const unsaid = await called('initiate_transfer', wanted);
await typed(words);
const held = await called('initiate_transfer', wanted);
console.log(JSON.stringify({ unsaid: unsaid.code, said: held.code }));
await bank.close();
