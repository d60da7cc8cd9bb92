# %% [markdown]
# # icl-data alone
# %%
print(1)
