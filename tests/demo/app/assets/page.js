// Send a note without leaving the page; a note that was not kept stays in the field.
const form = document.querySelector("#write");
const field = document.querySelector("#text");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/api/notes", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ text: field.value }),
  });
  if (answer.ok) location.reload();
  else field.setCustomValidity((await answer.json()).error);
  field.reportValidity();
});

field.addEventListener("input", () => field.setCustomValidity(""));
